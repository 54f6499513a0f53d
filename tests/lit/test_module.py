"""The modules that Lightning trains: losses and scores against plain loops, warped batches, what a checkpoint holds."""

import numpy as np
import pytest
import torch

from tests.lit.path_training import ACTION, LENGTHS, METADATA, path_batch
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import COMPILED_STEP
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.lit.module import TPLModule, network_sizes, reconstruction_of, warp_options, warped_batch
from tpl_lightning.metrics import CycleBackConsistency, KeyEventSpread, PhaseLabelPropagation

ALL = [0, 1, 2, 3, 4, 5]
POINTS = torch.tensor([30, 26, 30, 26, 30, 30])  # of the prototype of each video
NAMES = {"jump": ["begin", "middle", "end"]}
SIZES = {"num_actions": 2, "num_phases": 3, "max_length": 30}


def _module(*options, **metadata):
    """D-MTAE whose warps are far from the identity, in float64."""
    torch.manual_seed(1)
    small = ["model.hidden=6", "model.kernel_size=3", "model.aligner_filters=2", "model.aligner_depth=3"]
    config = load_config(["method=tpl", "model.latent_dim=2", *small, *options])
    module = TPLModule(config_to_dict(config), METADATA | metadata).double()
    for name, weight in module.model.aligner.named_parameters():
        if name.endswith("head.weight"):
            torch.nn.init.normal_(weight, std=0.5)
    return module


def _labelled_batch(rows):
    """Three phases of a third of each video."""
    batch = path_batch(rows)
    time = torch.arange(34) / LENGTHS[rows].unsqueeze(1)
    return batch._replace(labels=(3 * time).long().where(time < 1, -1))


def _prototype(aligned, video, *, is_left_out):
    """The mean of the videos of an action at each of its points, (L, D), by a loop."""
    rows = [i for i in ALL if ACTION[i] == ACTION[video] and not (is_left_out and i == video)]
    return torch.stack([aligned[i, : POINTS[video]] for i in rows]).mean(0)


@pytest.mark.parametrize("is_left_out", [False, True])
def test_losses_are_those_of_loops_over_videos(is_left_out):
    module, batch = _module(f"loss.leave_one_out={is_left_out}".lower()), path_batch(ALL)
    with torch.no_grad():
        out = module(batch)
        losses = module.losses(batch, out)
        decoded = module.model.reconstruct(out.hidden)
    icae = reconstruction = 0.0
    for i, n in enumerate(LENGTHS.tolist()):
        prototype = _prototype(out.aligned_latent, i, is_left_out=is_left_out).numpy()
        grid, position = np.linspace(0, 1, len(prototype)), out.position[i, :n].numpy()
        expected = np.stack([np.interp(position, grid, channel) for channel in prototype.T], 1)
        icae += np.square(expected - out.latent[i, :n].numpy()).sum(1).mean() / 6
        reconstruction += float((decoded[i, :n] - batch.embeddings[i, :n]).square().sum(1).mean()) / 6
    assert float(losses.icae) == pytest.approx(icae)
    assert float(losses.reconstruction) == pytest.approx(reconstruction)
    assert icae > 0.01


def test_the_total_is_logged_with_its_terms():
    module, batch = _module("loss.reconstruction=0.5"), path_batch(ALL)
    logged = {}
    module.log_losses = logged.update
    module.icae_weight = 0.25
    loss = module.training_step(batch, 0)
    assert set(logged) == {"loss", "icae", "reconstruction"}
    torch.testing.assert_close(loss, 0.25 * logged["icae"] + 0.5 * logged["reconstruction"])
    assert logged["loss"] is loss


def test_videos_are_warped_before_a_step_where_asked():
    batch, seen = path_batch(ALL), []
    for strength in (0, 0.5):
        module = _module(f"train.random_warp={strength}")
        module.log_losses = lambda losses: None
        module.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        module.training_step(batch, 0)
    assert torch.equal(seen[0], batch.embeddings)
    assert (seen[1] - batch.embeddings).abs().max() > 0.1


def test_a_warped_batch_is_read_at_the_warped_times():
    batch = path_batch(ALL)
    theta = torch.randn(6, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = warped_batch(batch, theta)
    for i, n in enumerate(LENGTHS.tolist()):
        grid = torch.linspace(0, 1, n, dtype=torch.float64)
        times = cpab_warp(theta[i : i + 1], grid)[0].numpy()
        for channel in range(3):
            expected = np.interp(times, grid.numpy(), batch.embeddings[i, :n, channel].numpy())
            np.testing.assert_allclose(found.embeddings[i, :n, channel].numpy(), expected, atol=1e-5)
        assert (found.embeddings[i, n:] == 0).all()
    still = warped_batch(batch, torch.zeros(6, 15, dtype=torch.float64))
    torch.testing.assert_close(still.embeddings, batch.embeddings, atol=1e-5, rtol=0)


@pytest.mark.parametrize("per_action", [False, True])
def test_the_reconstruction_is_that_of_the_decoded_frames(per_action):
    module, batch = _module(f"model.per_action={per_action}".lower()), path_batch(ALL)
    out = module(batch)
    decoded = module.model.reconstruct(out.hidden, batch.action)
    errors = [(decoded[i, :n] - batch.embeddings[i, :n]).square().sum(1).mean() for i, n in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(reconstruction_of(module.model, out.hidden, batch), torch.stack(errors).mean())


def test_prototypes_of_a_batch_are_the_means_of_its_actions():
    aligned = torch.randn(6, 30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = _module().batch_prototypes(aligned, ACTION)
    for video in (0, 1):
        expected = _prototype(aligned, video, is_left_out=False)
        torch.testing.assert_close(found[ACTION[video], : POINTS[video]], expected)
        assert (found[ACTION[video], POINTS[video] :] == 0).all()
    alone = _module().batch_prototypes(aligned[:1], ACTION[:1])
    assert (alone[1] == 0).all()  # of an action that the batch lacks


def test_points_of_a_batch_are_told_on_the_host():
    batch = path_batch(ALL)
    assert _module().on_before_batch_transfer(batch, 0).points == 30
    assert _module().on_before_batch_transfer(batch.some(ACTION == 1), 0).points == 26


@pytest.mark.parametrize(
    ("lengths", "points"),
    [([COMPILED_STEP + 1, 500], 2 * COMPILED_STEP), ([COMPILED_STEP, 500], COMPILED_STEP), ([30, 26], 30)],
)
def test_a_compiled_network_sees_few_numbers_of_points(lengths, points):
    module = _module("train.compile=true", prototype_lengths=lengths)
    found = module.on_before_batch_transfer(path_batch([0, 2]), 0)  # of the first action
    assert found.points == points


def _logged(module):
    found = {}
    module.log = lambda name, value, **_: found.__setitem__(name, float(value))
    return found


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_validation_logs_the_scores_of_all_videos_together_and_starts_anew():
    module = _module(phase_names=NAMES).eval()
    logged = _logged(module)
    train, new = [[0, 1], [2, 3]], [4, 5]
    cbc, plp = CycleBackConsistency(**SIZES), PhaseLabelPropagation(**SIZES)
    spread = KeyEventSpread(num_actions=2, num_phases=3)
    with torch.no_grad():
        for number, rows in enumerate([*train, new]):
            batch = _labelled_batch(rows)
            out = module(batch)
            shared = (batch.labels, batch.lengths, batch.action)
            if rows is new:
                plp.update(out.position, *shared, POINTS[rows])
            else:
                cbc.update(out.position, *shared, out.source_position, POINTS[rows])
                plp.update_prototype(*shared, out.source_position, POINTS[rows])
            spread.update(out.position, *shared)
            module.validation_step(batch, number, dataloader_idx=int(rows is new))
    for _ in range(2):  # without videos nothing is logged
        module.on_validation_epoch_end()
    assert set(logged) == {"train/cbc", "val/plp", "val/event_spread", "quality/score"}
    assert logged["train/cbc"] == pytest.approx(float(cbc.compute()))
    assert logged["val/plp"] == pytest.approx(float(plp.compute()))
    assert logged["val/event_spread"] == pytest.approx(float(spread.compute()))
    assert not module.train_cbc.update_called


def test_new_videos_are_scored_against_the_stored_labels():
    module = _module(phase_names=NAMES).eval()
    logged = _logged(module)
    module.prototype_labels = (torch.arange(30) // 10).expand(2, -1)
    batch = _labelled_batch(ALL)
    plp = PhaseLabelPropagation(**SIZES)
    plp.set_prototype_labels(module.prototype_labels)
    with torch.no_grad():
        plp.update(module(batch).position, batch.labels, batch.lengths, batch.action, POINTS)
        for rows in ([0, 1, 2], [3, 4, 5]):
            module.test_step(_labelled_batch(rows), 0)
    module.on_test_epoch_end()
    assert logged["test/plp"] == pytest.approx(float(plp.compute()))
    assert 0 < logged["test/plp"] < 1


def test_a_checkpoint_holds_the_preprocessing_and_whether_there_is_more_to_learn():
    module, again, checkpoint = _module(), _module(), {}
    module.preprocessor_state, module.is_finished = {"mean": torch.ones(3)}, True
    module.on_save_checkpoint(checkpoint)
    again.on_load_checkpoint(checkpoint)
    assert again.is_finished
    assert torch.equal(again.preprocessor_state["mean"], torch.ones(3))
    assert not _module().is_finished


def test_a_latent_has_as_many_channels_as_features_unless_given():
    model = config_to_dict(load_config(["method=tpl", "model.latent_dim=null", "model.hidden=7"]))["model"]
    assert network_sizes(model, METADATA)["latent_dim"] == 3
    sizes = network_sizes({**model, "latent_dim": 2}, METADATA)
    assert (sizes["latent_dim"], sizes["hidden"], sizes["num_actions"]) == (2, 7, 2)


def test_ends_are_no_option_of_a_network():
    config = config_to_dict(load_config(["warp.ends=fixed", "warp.num_cells=8", "warp.recurrences=2"]))
    found = warp_options(config)
    assert (found["num_cells"], found["recurrences"]) == (8, 2)
    assert set(config["warp"]) - set(found) == {"ends"}
