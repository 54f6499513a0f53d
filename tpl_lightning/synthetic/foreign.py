"""Movements that are none of the five actions, with the same equipment: what a search must not take for one."""

from tpl_lightning.synthetic.actions import ACTION_TABLE, Action

__all__ = ["FOREIGN"]


def _foreign(gear: str, **controls: tuple[float, ...]) -> Action:
    """Return what the figure does at the equipment of an action: there and back in four steps of equal length."""
    base = ACTION_TABLE[gear]
    return Action(
        borders=(0.0, 0.25, 0.5, 0.75, 1.0), phases=("",) * 4, controls=controls, build=base.build, yaw=base.yaw
    )


FOREIGN: dict[str, Action] = {
    "bench_press": _foreign(  # hips up and down under a bar that stays up
        "bench_press",
        height=(1.0, 0.98, 1.0, 0.98, 1.0),
        forward=(0.1, 0.1, 0.1, 0.1, 0.1),
        arch=(0, 9, 16, 9, 0),
        head=(0, 4, 10, 4, 0),
        heel=(0, 20, 40, 20, 0),
    ),
    "deadlift": _foreign(  # bows with the bar left on the floor
        "deadlift",
        bar=(0.0, 0.0, 0.0, 0.0, 0.0),
        grip=(0.97, 0.80, 0.62, 0.80, 0.97),
        aside=(-0.10, -0.06, 0.0, -0.06, -0.10),
        lean=(-8, 0, 4, 0, -8),
        angle=(90, 66, 46, 66, 90),
        round=(1, 1, 2, 1, 1),
        head=(0, -10, -16, -10, 0),
    ),
    "dips": _foreign(  # legs raised in support
        "dips",
        height=(1.0, 1.0, 1.0, 1.0, 1.0),
        lean=(4, 0, -4, 0, 4),
        forward=(2, 2, 2, 2, 2),
        hip=(2, 45, 88, 45, 2),
        knee=(18, 12, 8, 12, 18),
        head=(-6, 0, 6, 0, -6),
    ),
    "pullups": _foreign(  # knees raised in the hang
        "pullups",
        reach=(1.0, 0.99, 0.98, 0.99, 1.0),
        lean=(0, 4, 8, 4, 0),
        back=(2, 4, 6, 4, 2),
        hip=(2, 50, 100, 50, 2),
        knee=(4, 55, 105, 55, 4),
        head=(4, 0, -6, 0, 4),
    ),
    "pushups": _foreign(  # hips up and down in a plank
        "pushups",
        height=(1.0, 1.0, 1.0, 1.0, 1.0),
        pike=(1, 16, 30, 16, 1),
        head=(22, 6, -10, 6, 22),
        flare=(0.5, 0.5, 0.5, 0.5, 0.5),
    ),
}
"""A foreign movement for each action whose equipment it uses."""
