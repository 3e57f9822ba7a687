"""The errors otel-har raises.

    OtelHarError
    ├── HarFormatError   (also a ValueError)  a document is not JSON, or not a HAR
    ├── SettingError     (also a ValueError)  a setting, option or environment variable has an unusable value
    └── ExportError      (also an OSError)    finished entries could not be written to their destination
        └── DestinationError                  ... for now: nothing of them was written, they may be given again

Each is also the fitting builtin, so that a program need not know this module to handle them. Files that cannot be
opened or read raise the plain `OSError` of the operating system.
"""

__all__ = ["DestinationError", "ExportError", "HarFormatError", "OtelHarError", "SettingError"]


class OtelHarError(Exception):
    """The root of the tree: catches everything otel-har raises on purpose."""


class HarFormatError(OtelHarError, ValueError):
    """A document or a part of it is not JSON, or not HAR.

    Args:
        message: What is wrong, with the offending value.
        place: Where, as in `log.entries[3].request.url`; empty when the document as a whole is meant.

    Attributes:
        place: As given.
        message: As given, without the place, which `str()` of the error puts in front.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message, place)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class SettingError(OtelHarError, ValueError):
    """A setting, an option or an environment variable has an unusable value."""


class ExportError(OtelHarError, OSError):
    """Finished entries could not be written to their destination."""


class DestinationError(ExportError):
    """The destination takes nothing for now: a full disk, a directory that is gone. Nothing was written of what it got.

    `errno` is the operating system's, where it gave one.
    """
