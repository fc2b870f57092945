"""Placeholder."""


class Slots:
    count = 0

    def commit(self, slots: tuple[int, ...]) -> None:
        pass
