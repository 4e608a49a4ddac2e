"""The one mechanism of reruns: a recorded run again, with its reads and writes sent where pins say."""

from doltflow.rerun.code import CodeChoice, CodeFound, CodeOrigin, find_code
from doltflow.rerun.parameters import check_parameters
from doltflow.rerun.plan import Plan, PlannedBranch, plan_replay
from doltflow.rerun.proof import unhonoured, written_between
from doltflow.rerun.run import Explicit, Rerun, made_branches, remove_branches, rerun

__all__ = [
    "CodeChoice",
    "CodeFound",
    "CodeOrigin",
    "Explicit",
    "Plan",
    "PlannedBranch",
    "Rerun",
    "check_parameters",
    "find_code",
    "made_branches",
    "plan_replay",
    "remove_branches",
    "rerun",
    "unhonoured",
    "written_between",
]
