from pathlib import Path

import pytest

from scaling_api.v1alpha1.execution import Storage
from scaling_operator.settings import Settings, SettingsError, load_settings, settings_from

VALUES = Path(__file__).parents[3] / "charts/scaling-operator/values.yaml"


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text)
    return file


def test_without_a_file_every_default_holds(tmp_path):
    assert settings_from({}) == Settings()
    assert settings_from({"SCALING_SETTINGS": str(written(tmp_path, ""))}) == Settings()


def test_a_file_says_what_differs(tmp_path):
    text = "trainer: {image: own:1}\nresyncSeconds: 1e+2\ncaps: {namespaces: {team-a: {accelerators: 8}}}\n"
    settings = load_settings(written(tmp_path, text))
    assert (settings.trainer.image, settings.resync_seconds) == ("own:1", 100)
    assert settings.cap_of("team-a").accelerators == 8
    assert settings.cap_of("team-b").accelerators is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trainer: {imag: x}", "trainer.imag: this field does not exist."),
        ("resyncSeconds: -1", "resyncSeconds: must be above 0, found -1."),
        ("logLevel: LOUD", "logLevel: must be 'DEBUG', 'INFO' or 'WARNING', found \"LOUD\"."),
        ("defaultPool: {name: head}", "defaultPool.name: the name must not be head"),
        ("cpuFallback: 1", "cpuFallback: expected true or false, found 1."),
        ("storage: {credentialsSecret: s}", "storage: credentialsSecret is for a uri alone"),
        ("- a", "expected a mapping of settings."),
        ("a: [", ":1: cannot be read as YAML: "),
        ("ray: {}\nray: {}", ":2: cannot be read as YAML: found duplicate key"),
        ("\tray: {}", ":1: cannot be read as YAML: found character"),
        ("a: &a [*a]", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, says):
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load_settings(file)
    assert str(raised.value).startswith(str(file))
    assert says in str(raised.value)


def test_all_mistakes_are_said_at_once(tmp_path):
    with pytest.raises(SettingsError) as raised:
        load_settings(written(tmp_path, "a: 1\nb: 2\nports: {metrics: 0}"))
    assert len(str(raised.value).splitlines()) == 3


def test_what_is_no_settings_file_ends_in_a_sentence(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"#" * (2**20 + 1))
    for name in ("missing", "binary", "large", "."):
        with pytest.raises(SettingsError, match=r"\.$"):
            load_settings(tmp_path / name)


def test_where_results_are_kept_if_an_experiment_does_not_say():
    assert Settings().storage_of(None) == Storage(claim_name="scaling-results")
    bucket = Settings.model_validate({"storage": {"uri": "s3://a", "credentialsSecret": "keys"}})
    assert bucket.storage_of(None) == Storage(uri="s3://a", credentials_secret="keys")
    assert bucket.storage_of(Storage(claim_name="own")) == Storage(claim_name="own")
