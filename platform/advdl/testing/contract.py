"""ContractError: what a conformance check raises."""

from advdl.errors import PluginError

PAGE = "docs/plugins.md"
"""The chapter that explains every contract; a kind's clauses stand under its name."""


class ContractError(PluginError):
    """A component breaks a clause of its kind's contract.

    Attributes:
        what: The component.
        clause: The clause that it breaks, as a sentence.
        detail: What was found instead.
        page: Where the contract is explained.
    """

    def __init__(self, what: str, clause: str, detail: str, *, kind: str = "") -> None:
        page = f"{PAGE}#{kind}" if kind else PAGE
        super().__init__(f"{what} breaks its contract: {clause}; {detail}", hint=f"the contract: {page}")
        self.what = what
        self.clause = clause
        self.detail = detail
        self.page = page
