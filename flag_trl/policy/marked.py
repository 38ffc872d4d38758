"""Segments of a prompt whose tokens only hold the place of something else."""


class MarkedTokens(tuple[int, ...]):
    """Tokens that stand for a content; two are equal where their contents are, too.

    Attributes
    ----------
    content : bytes
        What they are told apart by.
    """

    content: bytes

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and tuple(self) == tuple(other) and self.content == other.content

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((tuple(self), self.content))
