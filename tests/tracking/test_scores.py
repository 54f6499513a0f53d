"""The best scores of a run, which go on from an earlier log."""

from tpl_lightning.tracking import BestScores


def test_best_scores_go_on_from_an_earlier_log(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,val/plp,train/loss\n0,0,0.5,1\n1,1,0.7,\n2,2,,0.3\n3,3,0.6,0.2\n4,"
    )
    best = BestScores(tmp_path / "metrics.csv")
    assert best.values == {"best/plp": 0.7}
    assert best.update({"val/plp": 0.65, "train/loss": 0.1}) == {"best/plp": 0.7}
    assert best.update({"val/plp": 0.8, "val/event_spread": float("nan")}) == {"best/plp": 0.8}
