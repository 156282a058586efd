"""The order of lessons, of which one builds on another; other examples follow by name."""

LESSONS = ("em_step_by_step", "kmeans_and_mixtures", "how_many_components", "em_and_gradients")


class ReadingOrder:
    """A key by which sphinx-gallery sorts the files of a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, filename):
        """Place of a file."""
        name = filename.removesuffix(".py")
        return (LESSONS.index(name) if name in LESSONS else len(LESSONS), name)

    def __repr__(self):
        """The same in every process: Sphinx rebuilds all pages when its settings change."""
        return "ReadingOrder"
