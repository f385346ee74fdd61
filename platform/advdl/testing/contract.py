"""ContractError: what a conformance check raises."""

from advdl.errors import PluginError


class ContractError(PluginError):
    """A component breaks a clause of its kind's contract.

    Attributes:
        what: The component.
        clause: The clause that it breaks, as a sentence.
        detail: What was found instead.
    """

    def __init__(self, what: str, clause: str, detail: str) -> None:
        super().__init__(f"{what} breaks its contract: {clause}; {detail}")
        self.what = what
        self.clause = clause
        self.detail = detail
