"""What can go wrong, as exceptions whose messages say what is wrong and what to do."""


class CogradError(Exception):
    """Any error of this package."""


class DataError(CogradError):
    """The training set, a column of it, or a loss is not what it must be."""


class ModelError(CogradError):
    """The model cannot be recorded, or is no longer the one that the recording began with."""


class SelfCheckError(CogradError):
    """Recorded gradients differ from those of plain autograd, one example at a time."""


class StudyError(CogradError):
    """A directory cannot take the run: it holds another one, or another process is writing it."""


class WriteError(CogradError):
    """The trace cannot be written, for instance because the disk is full."""


class ResumeError(CogradError):
    """A state does not belong to this recorder, or to what is on disk."""
