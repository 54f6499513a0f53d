"""Options that every method is told: data, training, where results go, what is compared."""

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.runs import BenchConfig, RunConfig
from tpl_lightning.errors import UserError


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("data.folds=1", r"data\.folds` to be 0 or at least 2, but got 1"),
        ("data.fold=2", r"data\.fold` to be in 0\.\.0 \(data\.folds=0\), but got 2"),
        ("data.batch_size=0", r"data\.batch_size"),
        ("data.pca=0", r"data\.pca` to be at least 1, or null"),
        ("data.actions=[]", r"data\.actions` to be a list of names, or null"),
        ("data.groups=[hog,hog]", r"data\.groups` to be a list of names, each once"),
        ("data.group_weights=[0,0]", r"data\.group_weights` to be a list of numbers of at least 0, not all 0"),
        ("train.max_epochs=0", r"train\.max_epochs"),
        ("train.random_warp=-1", r"train\.random_warp"),
        ("run.name=a/b", r"run\.name` to be a plain folder name"),
        ("run.wandb=maybe", r"run\.wandb` to be one of auto, online, offline, disabled"),
        (f"run.tags=[{'x' * 65}]", r"run\.tags` to be a list of names of 1 to 64 letters"),
        ("bench.methods=[nothing]", r"bench\.methods` to be a list of linear, pad"),
        ("bench.seeds=[]", r"bench\.seeds` to be a list of numbers"),
        ("bench.minutes=0", r"bench\.minutes` to be above 0"),
    ],
)
def test_what_is_out_of_range_is_named(option, named):
    with pytest.raises(UserError, match=named):
        load_config([option])


def test_weights_are_as_many_as_groups():
    with pytest.raises(UserError, match=r"data\.group_weights` to be a number for each of data\.groups"):
        load_config(["data.groups=[hog,pose]", "data.group_weights=[1]"])
    assert load_config(["data.groups=[hog,pose]", "data.group_weights=[1,2]"]).data.group_weights == [1, 2]


@pytest.mark.parametrize(
    ("text", "mode"), [("false", "disabled"), ("off", "disabled"), ("yes", "auto"), ("True", "auto")]
)
def test_words_of_yaml_are_modes(text, mode):
    assert RunConfig(wandb=text).wandb == mode


def test_rows_of_a_benchmark_are_methods_their_variants_or_files():
    methods = ["softdba:0.1", "dtan:icae", "linear+refined", "rows/mine.yaml"]
    assert BenchConfig(methods=methods).methods == methods
