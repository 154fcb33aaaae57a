"""Extraction against archives that py7zr and tarfile wrote."""

import hashlib
import io
import os
import stat
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import py7zr
import pytest
from tqdm import tqdm

from kaggle_speech import folders
from kaggle_speech.data import archive_formats, archives, places

#: Two clips that do not compress, so that most of an archive's bytes matter; an empty file; one at the top.
FILES = {
    "train/audio/yes/a_nohash_0.wav": bytes(hashlib.shake_128(b"a").digest(1000)),
    "train/audio/no/b_nohash_0.wav": bytes(hashlib.shake_128(b"b").digest(3000)),
    "train/audio/no/empty.wav": b"",
    "train/validation_list.txt": b"yes/a_nohash_0.wav\n",
    "sample_submission.csv": b"fname,label\n",
}
OUTSIDE = ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "C:evil", "\\\\host\\share\\evil", "a\\..\\..\\evil"]
#: A Unix mode follows; the member is an ordinary archived file; its mode is 0o100600.
UNIX_MODE = 0x8000
#: What stands before the attributes of one member in the header: property, size, defined for all, not external.
BEFORE_ATTRIBUTES = b"\x15\x06\x01\x00"
SPECIAL_TYPES = {
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "link",
    tarfile.CHRTYPE: "device",
    tarfile.FIFOTYPE: "device",
}


def write_7z(path, files):
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)  # names stay readable for `rename_in_7z`
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def patch_7z(path, old, new):
    """Replace bytes of the header by as many others, which py7zr would not write, and mend both checksums."""
    content = path.read_bytes()
    assert old in content and len(old) == len(new)
    data = bytearray(content.replace(old, new))
    offset, size = struct.unpack_from("<QQ", data, 12)
    struct.pack_into("<I", data, 28, zlib.crc32(data[32 + offset : 32 + offset + size]))
    struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    path.write_bytes(data)


def rename_in_7z(path, old, new):
    patch_7z(path, old.encode("utf-16-le"), new.encode("utf-16-le"))


def write_7z_with_attributes(path, attributes):
    """An archive with one member `a.wav` with these 32 bits: the Unix mode above, the Windows attributes below."""
    write_7z(path, {"a.wav": b"sound"})
    content = path.read_bytes()
    place = content.index(BEFORE_ATTRIBUTES) + len(BEFORE_ATTRIBUTES)
    patch_7z(path, content[place - 4 : place + 4], BEFORE_ATTRIBUTES + struct.pack("<I", attributes))
    return path


def write_7z_with_unknown_method(path, files):
    """An archive that names the filter BCJ2, which py7zr does not know, where BCJ was used."""
    write_7z(path, files)
    patch_7z(path, b"\x03\x03\x01\x03", b"\x03\x03\x01\x1b")
    return path


def install_stub_program(folder, monkeypatch, files):
    """Make `7z` a program that lists and unpacks `files` (`{name: content}`), whatever archive it is given."""
    code = f"""#!{sys.executable}
import sys
from pathlib import Path

files = {files!r}
if sys.argv[1] == "l":
    for name, content in files.items():
        print(f"Path = {{name}}\\nSize = {{len(content)}}\\nAttributes = A\\n")
else:
    out_dir = Path(next(option for option in sys.argv if option.startswith("-o"))[2:])
    for name, content in files.items():
        (out_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (out_dir / name).write_bytes(content)
        print(f"- {{name}}")
"""
    folder.mkdir()
    (folder / "7z").write_text(code)
    (folder / "7z").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def without_py7zr(monkeypatch):
    if archive_formats._sevenzip_program() is None:
        pytest.skip("the 7-Zip program is not installed")
    monkeypatch.setitem(sys.modules, "py7zr", None)


@pytest.fixture(params=["py7zr", "program"])
def sevenzip_reader(request, monkeypatch):
    """Both readers of .7z files, one after the other."""
    if request.param == "program":
        without_py7zr(monkeypatch)


@pytest.fixture(params=["py7zr", "program", "tar"])
def archive_path(request, tmp_path, monkeypatch):
    """An archive of FILES, once for every reader."""
    if request.param == "tar":
        return write_tar(tmp_path / "clips.tar.gz", FILES)
    if request.param == "program":
        without_py7zr(monkeypatch)
    return write_7z(tmp_path / "clips.7z", FILES)


def files_in(folder):
    """`{name: content}` of all files in a folder, but for the list that extraction keeps."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".contents-")}


def test_extraction_restores_every_file(archive_path, tmp_path):
    out_dir = tmp_path / "new" / "out"
    assert archives.extract_archive(archive_path, out_dir) == len(FILES)
    assert files_in(out_dir) == FILES
    assert not list(out_dir.glob(".extracting-*"))


def test_what_is_there_is_left_alone_and_the_rest_completed(archive_path, tmp_path):
    out_dir = tmp_path / "out"
    archives.extract_archive(archive_path, out_dir, progress=False)
    kept, cut = out_dir / "train/audio/yes/a_nohash_0.wav", out_dir / "train/audio/no/b_nohash_0.wav"
    os.utime(kept, (1, 1))
    cut.write_bytes(b"half of it")
    (out_dir / "sample_submission.csv").unlink()
    assert archives.extract_archive(archive_path, out_dir, progress=False) == 2
    assert files_in(out_dir) == FILES
    assert kept.stat().st_mtime == 1


def test_nothing_is_read_again_when_all_is_there(archive_path, tmp_path, monkeypatch):
    archives.extract_archive(archive_path, tmp_path / "out", progress=False)
    monkeypatch.setattr(archives, "find_readers", lambda path: pytest.fail("the archive was opened again"))
    assert archives.extract_archive(archive_path, tmp_path / "out") == 0


def test_another_archive_of_the_same_name_is_extracted(tmp_path):
    archives.extract_archive(write_7z(tmp_path / "clips.7z", {"a.wav": b"old"}), tmp_path / "out", progress=False)
    changed = write_7z(tmp_path / "clips.7z", {"a.wav": b"newer", "b.wav": b"b"})
    assert archives.extract_archive(changed, tmp_path / "out", progress=False) == 2
    assert files_in(tmp_path / "out") == {"a.wav": b"newer", "b.wav": b"b"}


def test_an_interruption_while_unpacking_leaves_nothing(archive_path, tmp_path, monkeypatch):
    def interrupt(self, n=1):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            archives.extract_archive(archive_path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
    assert archives.extract_archive(archive_path, tmp_path / "out", progress=False) == len(FILES)
    assert files_in(tmp_path / "out") == FILES


def interrupt_second_move(monkeypatch):
    replace, moved = Path.replace, []

    def replace_once(self, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_once)


def test_an_interruption_while_moving_keeps_what_was_moved(archive_path, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_second_move(patch)
        with pytest.raises(KeyboardInterrupt):
            archives.extract_archive(archive_path, tmp_path / "out", progress=False)
    assert len(files_in(tmp_path / "out")) == 1
    assert archives.extract_archive(archive_path, tmp_path / "out", progress=False) == len(FILES) - 1
    assert files_in(tmp_path / "out") == FILES


def test_leftovers_of_a_killed_run_are_removed(archive_path, tmp_path):
    leftover = tmp_path / "out" / f".extracting-{archive_path.name}" / "train"
    leftover.mkdir(parents=True)
    (leftover / "validation_list.txt").write_bytes(b"half")
    archives.extract_archive(archive_path, tmp_path / "out", progress=False)
    assert files_in(tmp_path / "out") == FILES


def test_two_processes_extract_to_one_folder(archive_path, tmp_path):
    """The second waits for the first, and finds everything there."""
    code = f"""
import sys
from pathlib import Path
from kaggle_speech.data import archives
print(archives.extract_archive(Path({str(archive_path)!r}), Path({str(tmp_path / "out")!r}), progress=False))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(map(int, printed)) == [0, 0, 0, len(FILES)]
    assert files_in(tmp_path / "out") == FILES


@pytest.mark.parametrize("kept_fraction", [0.0, 0.005, 0.3, 0.7, 0.99])
def test_a_truncated_archive_leaves_nothing(archive_path, tmp_path, kept_fraction):
    data = archive_path.read_bytes()
    archive_path.write_bytes(data[: int(len(data) * kept_fraction)])
    with pytest.raises(archive_formats.ArchiveError, match=f"{archive_path.name}: must be a complete and undamaged"):
        archives.extract_archive(archive_path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_flipped_bit_is_noticed_or_harmless(archive_path, tmp_path):
    data = archive_path.read_bytes()
    num_noticed = 0
    for i in range(0, len(data), len(data) // 25):
        archive_path.write_bytes(data[:i] + bytes([data[i] ^ 16]) + data[i + 1 :])
        out_dir = tmp_path / f"out_{i}"
        try:
            archives.extract_archive(archive_path, out_dir, progress=False)
        except archive_formats.ArchiveError as error:
            assert archive_path.name in str(error)
            assert not out_dir.exists() or list(out_dir.iterdir()) == []
            num_noticed += 1
        else:
            assert files_in(out_dir) == FILES
    assert num_noticed > 20


@pytest.mark.parametrize("name", OUTSIDE)
def test_tar_members_outside_the_folder_are_refused(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("good.wav"))
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(archive_formats.ArchiveError, match=r"evil.tgz: a member must stay inside") as error:
        archives.extract_archive(tmp_path / "evil.tgz", tmp_path / "out", progress=False)
    assert repr(name) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tgz"]


@pytest.mark.parametrize(("special", "kind"), SPECIAL_TYPES.items())
def test_tar_links_and_devices_are_refused(tmp_path, special, kind):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("inside")
        member.type, member.linkname = special, "../outside"
        archive.addfile(member)
        archive.addfile(tarfile.TarInfo("inside/a.wav"))
    with pytest.raises(archive_formats.ArchiveError, match=f"evil.tar.gz: a member must be .* 'inside', a {kind}"):
        archives.extract_archive(tmp_path / "evil.tar.gz", tmp_path / "out", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar.gz"]


@pytest.mark.usefixtures("sevenzip_reader")
@pytest.mark.parametrize("name", OUTSIDE)
def test_7z_members_outside_the_folder_are_refused(tmp_path, name):
    path = write_7z(tmp_path / "evil.7z", {"good.wav": b"good", "x" * len(name): b"evil"})
    rename_in_7z(path, "x" * len(name), name)
    with pytest.raises(archive_formats.ArchiveError, match=r"evil.7z: a member must stay inside"):
        archives.extract_archive(path, tmp_path / "out", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.7z"]


@pytest.mark.usefixtures("sevenzip_reader")
def test_7z_links_are_refused(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/outside").symlink_to(tmp_path)
    with py7zr.SevenZipFile(tmp_path / "evil.7z", "w") as archive:
        archive.writeall(tmp_path / "source", "train")
    with pytest.raises(archive_formats.ArchiveError, match=r"evil.7z: a member must be .* 'train/outside', a link"):
        archives.extract_archive(tmp_path / "evil.7z", tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "attributes",
    [
        stat.FILE_ATTRIBUTE_ARCHIVE,
        stat.FILE_ATTRIBUTE_READONLY,
        0o100755 << 16 | UNIX_MODE,
        0o755 << 16 | UNIX_MODE | stat.FILE_ATTRIBUTE_ARCHIVE,
        0o664 << 16 | UNIX_MODE | stat.FILE_ATTRIBUTE_ARCHIVE,
        0o720 << 16 | UNIX_MODE | stat.FILE_ATTRIBUTE_ARCHIVE,  # the program prints `01D00000`, with a `D` of no folder
    ],
)
@pytest.mark.usefixtures("sevenzip_reader")
def test_7z_files_are_extracted_whatever_their_mode(tmp_path, attributes):
    path = write_7z_with_attributes(tmp_path / "clips.7z", attributes)
    assert archives.extract_archive(path, tmp_path / "out", progress=False) == 1
    assert files_in(tmp_path / "out") == {"a.wav": b"sound"}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        (stat.S_IFLNK << 16 | UNIX_MODE, "link"),
        (stat.FILE_ATTRIBUTE_REPARSE_POINT, "link"),
        (stat.FILE_ATTRIBUTE_REPARSE_POINT | stat.FILE_ATTRIBUTE_DIRECTORY, "link"),
        (stat.S_IFCHR << 16 | UNIX_MODE, "device"),
        (stat.S_IFBLK << 16 | UNIX_MODE, "device"),
        (stat.S_IFIFO << 16 | UNIX_MODE, "device"),
        (stat.S_IFSOCK << 16 | UNIX_MODE, "device"),
    ],
)
@pytest.mark.usefixtures("sevenzip_reader")
def test_7z_links_and_devices_are_refused(tmp_path, attributes, kind):
    path = write_7z_with_attributes(tmp_path / "evil.7z", attributes)
    with pytest.raises(archive_formats.ArchiveError, match=rf"evil.7z: a member must be .* 'a.wav', a {kind}"):
        archives.extract_archive(path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_the_program_reads_what_py7zr_cannot(tmp_path, monkeypatch):
    path = write_7z_with_unknown_method(tmp_path / "clips.7z", FILES)
    install_stub_program(tmp_path / "bin", monkeypatch, FILES)
    assert archives.extract_archive(path, tmp_path / "out", progress=False) == len(FILES)
    assert files_in(tmp_path / "out") == FILES


def test_the_program_is_checked_like_py7zr(tmp_path, monkeypatch):
    """Its own list counts: py7zr's names of the same archive are harmless."""
    path = write_7z_with_unknown_method(tmp_path / "clips.7z", FILES)
    install_stub_program(tmp_path / "bin", monkeypatch, {"../evil": b"evil"})
    with pytest.raises(
        archive_formats.ArchiveError, match=r"a member must stay inside the folder. Received: '../evil'"
    ):
        archives.extract_archive(path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_method_that_no_reader_knows_is_one_clear_error(tmp_path, monkeypatch):
    path = write_7z_with_unknown_method(tmp_path / "clips.7z", FILES)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(archive_formats.ArchiveError, match=r"clips.7z: the compression method .* 7-Zip program .*BCJ2"):
        archives.extract_archive(path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_method_that_the_program_does_not_know_is_one_clear_error(tmp_path, monkeypatch):
    path = write_7z_with_unknown_method(tmp_path / "clips.7z", FILES)
    (tmp_path / "7z").write_text("#!/bin/sh\necho 'ERROR: Unsupported Method : a.wav'\nexit 2\n")
    (tmp_path / "7z").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        archive_formats.ArchiveError, match=r"clips.7z: the compression method .* Unsupported Method : a.wav"
    ):
        archives.extract_archive(path, tmp_path / "out", progress=False)


def test_an_archive_with_bcj2_is_extracted(tmp_path):
    program = archive_formats._sevenzip_program()
    if program is None:
        pytest.skip("the 7-Zip program is not installed")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.exe").write_bytes(bytes(hashlib.shake_128(b"a").digest(3000)))
    methods = ["-m0=BCJ2", "-m1=LZMA", "-m2=LZMA", "-m3=LZMA", "-mb0:1", "-mb0s1:2", "-mb0s2:3"]
    call = [program, "a", *methods, str(tmp_path / "clips.7z"), "."]
    subprocess.run(call, cwd=tmp_path / "source", check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(py7zr.UnsupportedCompressionMethodError), py7zr.SevenZipFile(tmp_path / "clips.7z") as archive:
        archive.extractall(tmp_path / "py7zr")
    assert archives.extract_archive(tmp_path / "clips.7z", tmp_path / "out", progress=False) == 1
    assert files_in(tmp_path / "out") == files_in(tmp_path / "source")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ("A", "file"),
        ("AV 01ED0000 0rwxr-xr-x", "file"),
        ("AV 01D00000 0rwx-w----", "file"),
        ("DV 01ED0000 0rwxr-xr-x", "folder"),
        ("ALV 01ED0000 0rwxr-xr-x", "link"),
        ("", "file"),
        ("A -rw-rw-r--", "file"),
        ("-rw-r--r--", "file"),
        ("D", "folder"),
        ("D drwxr-xr-x", "folder"),
        ("drwxr-xr-x", "folder"),
        ("AL", "link"),
        ("DL", "link"),
        ("A lrwxrwxrwx", "link"),
        ("lrwxrwxrwx", "link"),
        ("crw-rw-rw-", "device"),
    ],
)
def test_attributes_that_the_program_prints(attributes, kind):
    assert archive_formats._program_kind(attributes) == kind


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "twice.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.wav"))
        archive.addfile(tarfile.TarInfo("./a.wav"))
    with pytest.raises(archive_formats.ArchiveError, match=r"a name must occur once. Received: 'a.wav' twice"):
        archives.extract_archive(tmp_path / "twice.tgz", tmp_path / "out", progress=False)


def test_without_any_reader_the_error_says_how_to_get_one(tmp_path, monkeypatch):
    path = write_7z(tmp_path / "clips.7z", FILES)
    monkeypatch.setitem(sys.modules, "py7zr", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"clips.7z.*pip install py7zr.*7-Zip program"):
        archives.extract_archive(path, tmp_path / "out")


def test_other_formats_and_missing_archives_are_refused(tmp_path):
    (tmp_path / "clips.rar").touch()
    with pytest.raises(ValueError, match=r"`archive_path` must end in .7z.*clips\.rar"):
        archives.extract_archive(tmp_path / "clips.rar", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"none\.7z"):
        archives.extract_archive(tmp_path / "none.7z", tmp_path / "out")


TRAIN = {name: data for name, data in FILES.items() if name.startswith("train/")}
TEST = {"test/audio/clip_1.wav": b"one", "test/audio/clip_2.wav": b"two"}
SUBMISSION = {"sample_submission.csv": b"fname,label\n"}


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """A folder with the competition's three archives, in a project of its own."""
    monkeypatch.setattr(folders, "project_dir", lambda: tmp_path / "project")
    monkeypatch.setattr(folders, "KAGGLE_DIR", tmp_path / "kaggle")
    (tmp_path / "downloads").mkdir()
    for name, files in (("train", TRAIN), ("test", TEST), ("sample_submission", SUBMISSION)):
        write_7z(tmp_path / f"downloads/{name}.7z", files)
    return tmp_path / "downloads"


def test_prepare_extracts_the_competition_once(data_dir, tmp_path, monkeypatch):
    before = files_in(data_dir)
    folder = archives.prepare_data(data_dir, progress=False)
    assert folder == places.extraction_dir(tmp_path / "downloads")
    assert folder.parent == tmp_path / "project/data"
    assert files_in(folder) == TRAIN | TEST | SUBMISSION
    monkeypatch.setattr(archives, "find_readers", lambda path: pytest.fail("an archive was opened again"))
    assert archives.prepare_data(data_dir, progress=False) == folder
    assert files_in(data_dir) == before


def test_prepare_in_a_kaggle_kernel_writes_to_temp_alone(data_dir, tmp_path):
    (tmp_path / "kaggle/working").mkdir(parents=True)
    assert archives.prepare_data(data_dir, progress=False) == tmp_path / "kaggle/temp/downloads"
    assert list((tmp_path / "kaggle/working").iterdir()) == []


def test_prepare_to_a_folder_completes_an_interrupted_run(data_dir, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_second_move(patch)
        with pytest.raises(KeyboardInterrupt):
            archives.prepare_data(data_dir, tmp_path / "out", progress=False)
    assert archives.prepare_data(data_dir, tmp_path / "out", progress=False) == tmp_path / "out"
    assert files_in(tmp_path / "out") == TRAIN | TEST | SUBMISSION


def test_prepare_returns_extracted_clips_as_they_are(tmp_path):
    (tmp_path / "train/audio/yes").mkdir(parents=True)
    assert archives.prepare_data(tmp_path) == tmp_path
    (tmp_path / "train.7z").write_bytes(b"is not opened")
    assert archives.prepare_data(tmp_path) == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "train.7z"]


def test_prepare_extracts_what_is_missing_beside_the_clips(data_dir):
    (data_dir / "train/audio/yes").mkdir(parents=True)
    (data_dir / "train.7z").write_bytes(b"is not opened")
    assert archives.prepare_data(data_dir, progress=False) == data_dir
    assert files_in(data_dir / "test").keys() == {"audio/clip_1.wav", "audio/clip_2.wav"}


def test_prepare_completes_a_half_extracted_folder_beside_its_archive(data_dir, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_second_move(patch)
        with pytest.raises(KeyboardInterrupt):
            archives.extract_archive(data_dir / "train.7z", data_dir, progress=False)
    assert archives.prepare_data(data_dir, progress=False) == data_dir
    assert TRAIN.items() <= files_in(data_dir).items()


def test_prepare_gives_every_speech_commands_archive_its_own_folder(tmp_path):
    noise = {"_background_noise_/pink_noise.wav": b"noise"}
    write_tar(tmp_path / "speech_commands_test_set_v0.01.tar.gz", {"yes/a.wav": b"test"})
    write_tar(tmp_path / "speech_commands_v0.01.tar.gz", {"yes/a.wav": b"old", **noise})
    write_tar(tmp_path / "speech_commands_v0.02.tar.gz", {"yes/a.wav": b"new", **noise})
    folder = archives.prepare_data(tmp_path, tmp_path / "out", progress=False)
    assert folder == tmp_path / "out/speech_commands_v0.01"
    assert files_in(folder) == {"yes/a.wav": b"old", **noise}
    assert files_in(tmp_path / "out/speech_commands_v0.02")["yes/a.wav"] == b"new"
    assert archives.prepare_data(tmp_path, tmp_path / "out", progress=False) == folder
