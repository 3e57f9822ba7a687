"""Filesystems of a test's own: small ones, ones that freeze, ones that fail. Skips where nothing can be mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

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
        image = self._image(place)
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run_or_skip("mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(image))
        self._mount_image(image, place)
        return place

    def fail(self, place: Path) -> None:
        """Let it meet an error, after everything so far has come to the disk."""
        _run("sync", "-f", str(place))
        number = place.stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        try:
            (Path("/sys/fs/ext4") / device.readlink().name / "trigger_fs_error").write_text("a test of otel-har")
        except OSError as fault:
            pytest.skip(str(fault))

    def mend(self, place: Path) -> None:
        """Mount it anew after an error, checked as the error asks for."""
        mended = self._image(place).with_suffix(".mended")
        shutil.copy(self._image(place), mended)
        _run("e2fsck", "-fy", str(mended))
        self._mount_image(mended, place)  # over the broken one: there is no moment without a filesystem

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
        while self._mounted:
            _run("umount", "-l", str(self._mounted.pop()))

    def _image(self, place: Path) -> Path:
        return self._directory / f"{place.name}.img"

    def _mount_image(self, image: Path, place: Path) -> None:
        self._mount(place, "-o", "loop,errors=remount-ro", str(image))

    def _place(self) -> Path:
        place = self._directory / f"mount{len(list(self._directory.glob('mount?')))}"
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
