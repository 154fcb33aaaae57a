"""upload.py: what goes to the hubs, against stand-ins of their packages; without them or a network nothing is lost."""

import importlib.util
import inspect
import sys
import types

import pytest

from kaggle_speech.cli.main import main
from kaggle_speech.export.upload import HUBS, UploadError, upload_model
from kaggle_speech.inference.load import model_location

MODULES = {"kaggle": "kagglehub", "hf": "huggingface_hub"}


class Hub(types.ModuleType):
    """Stand-in for the packages of both hubs: keeps the calls, or fails."""

    def __init__(self, error=None):
        super().__init__("hub")
        self.calls = []
        self.error = error

    def _call(self, function, *args, **options):
        if self.error is not None:
            raise self.error
        self.calls.append((function, args, options))

    def model_upload(self, *args, **options):
        self._call("model_upload", *args, **options)

    def HfApi(self):  # noqa: N802
        return self

    def create_repo(self, *args, **options):
        self._call("create_repo", *args, **options)

    def upload_folder(self, *args, **options):
        self._call("upload_folder", *args, **options)


@pytest.fixture(params=HUBS)
def hub(request, monkeypatch):
    """The name of a hub, and the stand-in for its package."""
    stand_in = Hub()
    monkeypatch.setitem(sys.modules, MODULES[request.param], stand_in)
    return request.param, stand_in


def test_the_folder_goes_to_the_hub(hub):
    name, stand_in = hub
    model_dir = model_location("tc_resnet")
    said = upload_model(model_dir, name, "me/commands")
    assert said.startswith("uploaded 7 files, ") and "me/commands" in said
    functions = [function for function, *_ in stand_in.calls]
    if name == "kaggle":
        assert functions == ["model_upload"]
        assert stand_in.calls[0][1] == ("me/commands/keras/default", str(model_dir))
    else:
        assert functions == ["create_repo", "upload_folder"]
        assert stand_in.calls[0][2]["private"] and stand_in.calls[1][2]["folder_path"] == model_dir


@pytest.mark.parametrize("name", HUBS)
def test_the_packages_of_the_hubs_take_these_arguments(name, monkeypatch):
    if importlib.util.find_spec(MODULES[name]) is None:
        pytest.skip(f"needs the optional package {MODULES[name]}")
    package = importlib.import_module(MODULES[name])
    target = package if name == "kaggle" else package.HfApi
    stand_in = Hub()
    monkeypatch.setitem(sys.modules, MODULES[name], stand_in)
    upload_model(model_location("tc_resnet"), name, "me/commands")
    for function, args, options in stand_in.calls:
        self = () if name == "kaggle" else (None,)
        inspect.signature(getattr(target, function)).bind(*self, *args, **options)


def test_a_transcriber_is_no_keras_model_on_kaggle(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", Hub())
    said = upload_model(model_location("resnet_ctc"), "kaggle", "me/text", dry_run=True)
    assert said.startswith("would upload") and said.endswith("https://www.kaggle.com/models/me/text/onnx/default")


def test_without_a_network_it_says_what_it_would_do(hub):
    name, stand_in = hub
    stand_in.error = RuntimeError("no route to host")
    with pytest.raises(UploadError, match=r"RuntimeError: no route to host\n.* would upload 7 files, .*me/commands"):
        upload_model(model_location("tc_resnet"), name, "me/commands")


def test_nothing_but_a_published_model_is_uploaded(hub, tmp_path):
    name, stand_in = hub
    with pytest.raises(ValueError, match="`name` must be <owner>/<model>"):
        upload_model(model_location("tc_resnet"), name, "commands")
    with pytest.raises(ValueError, match="`hub` must be one of kaggle, hf"):
        upload_model(model_location("tc_resnet"), "other", "me/commands")
    (tmp_path / "secret.txt").touch()
    with pytest.raises(FileNotFoundError, match="must be a folder of `publish`"):
        upload_model(tmp_path, name, "me/commands")
    assert stand_in.calls == []


def test_publish_uploads(hub, tmp_path, capsys):
    name, stand_in = hub
    command = ["publish", "--run", model_location("tc_resnet"), "--out", tmp_path / "mine", "--to", name]
    assert main(command) == 1
    assert "`--to` and `--name` must be given together" in capsys.readouterr().err
    assert main([*command, "--name", "me/commands", "--dry-run"]) == 0
    assert "would upload 5 files" in capsys.readouterr().out and stand_in.calls == []
    assert main([*command, "--name", "me/commands"]) == 0
    assert "uploaded 5 files" in capsys.readouterr().out and stand_in.calls
    stand_in.error = RuntimeError("no route to host")
    assert main([*command, "--name", "me/commands"]) == 1
    assert "would upload 5 files" in capsys.readouterr().err and (tmp_path / "mine" / "README.md").exists()
