"""Filesystems of a test's own: small ones, ones that freeze, ones that fail. Skips where nothing can be mounted."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE_BYTES = 8 * 1024 * 1024


class Filesystems:
    """Mounts; what it mounted is unmounted at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mounted: list[Path] = []
        self._frozen: list[Path] = []

    def small(self, *options: str) -> Path:
        """A tmpfs with options such as `size=1m`; its directory."""
        place = self._place()
        self._mount(place, "-t", "tmpfs", "-o", ",".join(options), "tmpfs")
        return place

    def on_disk(self) -> Path:
        """An ext4 of 8 MiB, which turns read-only at its first error; its directory."""
        place = self._place()
        image = self._directory / f"{place.name}.img"
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run_or_skip("mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(image))
        self.mount_image(place)
        return place

    def mount_image(self, place: Path) -> None:
        """Mount the image of a filesystem that `on_disk` made."""
        self._mount(place, "-o", "loop,errors=remount-ro", str(self._directory / f"{place.name}.img"))

    def check_image(self, place: Path) -> None:
        """Mend the image, as is done after an error."""
        _run("e2fsck", "-fy", str(self._directory / f"{place.name}.img"))

    def unmount(self, place: Path) -> None:
        """Unmount it, even where files of it are open."""
        _run("umount", "-l", str(place))
        self._mounted.remove(place)

    def freeze(self, place: Path) -> None:
        """From now on whoever writes there is blocked."""
        _run_or_skip("fsfreeze", "-f", str(place))
        self._frozen.append(place)

    def thaw(self, place: Path) -> None:
        """Let the writers go on."""
        _run("fsfreeze", "-u", str(place))
        self._frozen.remove(place)

    def thaw_all(self) -> None:
        """Let all writers go on: until then their processes cannot end."""
        for place in list(self._frozen):
            self.thaw(place)

    def close(self) -> None:
        """Unmount everything."""
        self.thaw_all()
        for place in list(self._mounted):
            self.unmount(place)

    def _place(self) -> Path:
        place = self._directory / f"mount{len(list(self._directory.glob('mount*')))}"
        place.mkdir()
        return place

    def _mount(self, place: Path, *arguments: str) -> None:
        _run_or_skip("mount", *arguments, str(place))
        self._mounted.append(place)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


def _run_or_skip(*command: str) -> None:
    done = _run(*command)
    if done.returncode:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")


def filled(place: Path) -> Path:
    """A file that takes all the space that is left; removing it frees the space."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast
