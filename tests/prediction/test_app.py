"""The page for one's own voice: who may ask, what is kept, and all of it in a browser with a microphone."""

import csv
import dataclasses
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

from sernb.__main__ import main
from sernb.audio.reading import load
from sernb.config import ROOT
from sernb.prediction.app import App
from sernb.prediction.archive import LARGEST
from sernb.prediction.formats import as_dict
from sernb.prediction.loading import BUNDLED, load_model
from sernb.prediction.predict import adapt_to_speaker, predict
from sernb.prediction.speaker_enrolment import EnrolledSpeaker

CLIP = sorted((ROOT / "data" / "demo").rglob("*.flac"))[0]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def app(tmp_path):
    with App(load_model(BUNDLED), tmp_path / "kept") as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(app, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", app.server_port, timeout=120)
    given = {"X-Sernb-Token": app.token} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_only_its_own_page_may_ask(app):
    page = f"/?token={app.token}"
    assert ask(app, "GET", page)[0].status == 200
    assert ask(app, "GET", "/kept")[0].status == 200
    for path, headers in (
        ("/", {}),
        ("/?token=wrong", {}),
        ("/kept", {"X_Sernb_Token": None}),
        ("/kept", {"X_Sernb_Token": "wrong"}),
        ("/kept", {"Host": f"evil.example:{app.server_port}"}),
        ("/kept", {"Origin": "https://evil.example"}),
        ("/kept", {"Origin": "null"}),
        ("/kept", {"Sec_Fetch_Site": "cross-site"}),
        (page, {"Host": "evil.example"}),
    ):
        assert ask(app, "GET", path, **headers)[0].status == 403, (path, headers)
    assert ask(app, "POST", "/delete", Origin="https://evil.example")[0].status == 403
    assert app.server_address[0] == "127.0.0.1"


def test_the_page_asks_nobody_else(app):
    answer, content = ask(app, "GET", f"/?token={app.token}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert b"http" not in content.replace(b"http://www.w3.org/2000/svg", b"")  # a name, no address
    assert answer.headers["Cache-Control"] == "no-store"


def test_odd_uploads_are_refused_in_one_line(app):
    def refused(status, words, path="/predict?name=me.wav", body=b"", **headers):
        answer, content = ask(app, "POST", path, body, **headers)
        assert answer.status == status
        said = json.loads(content)["error"]
        assert words in said
        assert "\n" not in said

    refused(413, "use `sernb predict`", Content_Length=str(LARGEST + 1))
    refused(422, "me.wav: is empty")
    refused(422, "me.wav: is not an audio file", body=b"\xff\xd8\xff\xe0" + bytes(range(256)))
    refused(404, "no such page", path="/other")
    refused(422, "x<b>.wav: is", path="/predict?name=..%2F..%2Fx%3Cb%3E.wav", body=b"RIFF")
    assert ask(app, "GET", "/sound?key=..%2Fsecret")[0].status == 404


def test_nothing_is_kept_unless_asked_and_only_that_is_deleted(app):
    sound, folder = CLIP.read_bytes(), app.archive.folder
    assert ask(app, "POST", "/predict?name=me.flac", sound)[0].status == 200
    assert not folder.exists()
    _, content = ask(app, "POST", "/keep?name=%3Db%3Ei.flac", sound)
    [kept] = json.loads(content)
    assert kept["file"] == "=b>i.flac"
    assert ask(app, "GET", f"/sound?key={kept['key']}")[1] == sound
    rows = ask(app, "GET", "/kept.csv")[1].decode().splitlines()
    assert rows[1].startswith("'=b>i.flac,")
    mine = folder / "diary.txt"
    mine.write_text("mine")
    assert json.loads(ask(app, "POST", "/delete")[1]) == {"deleted": 1}
    assert list(folder.iterdir()) == [mine]


PREDICTED = {
    "file": "horn.wav", "seconds": 1.5, "answer": "not sure", "not_sure_because": ["it is unlike the corpus"],
    "set": {"coverage": 0.9, "emotions": ["fearful", "sad"]}, "recording": {"verdict": "out of domain", "reasons": []},
}  # fmt: skip


def keep(app, number: int, text: str | bytes) -> Path:
    app.archive.folder.mkdir(exist_ok=True)
    path = app.archive.folder / f"sernb-20260101-000000-{number:08x}.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_export_says_what_the_page_says(app):
    """Answer and verdict as they were said, also by a model with other emotions."""
    likely = dict.fromkeys(app.model.classes, 0.0) | {"fearful": 0.9, "sad": 0.1}
    keep(app, 1, json.dumps(PREDICTED | {"probabilities": likely}))
    keep(app, 2, json.dumps(PREDICTED | {"probabilities": {"bored": 1.0}, "answer": "bored", "set": None}))
    (horn, other) = json.loads(ask(app, "GET", "/kept")[1])
    rows = list(csv.DictReader(ask(app, "GET", "/kept.csv")[1].decode().splitlines()))
    for said, row in zip((horn, other), rows, strict=True):
        assert (row["file"], row["answer"], row["recording"]) == (
            "horn.wav",
            said["answer"],
            said["recording"]["verdict"],
        )
        assert {name: float(row[name]) for name in row if row[name] and name in said["probabilities"]} == (
            said["probabilities"]
        )
    assert (rows[0]["answer"], rows[0]["set"], rows[0]["bored"]) == ("not sure", "fearful sad", "")
    assert (rows[1]["answer"], rows[1]["set"], rows[1]["sad"]) == ("bored", "bored", "")


def test_a_horn_is_not_sure_everywhere(app):
    time = np.arange(2 * 48_000) / 48_000
    horn = io.BytesIO()
    soundfile.write(horn, 0.4 * np.sign(np.sin(2 * np.pi * 440 * time)), 48_000, format="WAV")
    said = json.loads(ask(app, "POST", "/predict?name=horn.wav", horn.getvalue())[1])
    (kept,) = json.loads(ask(app, "POST", "/keep?name=horn.wav", horn.getvalue())[1])
    (row,) = csv.DictReader(ask(app, "GET", "/kept.csv")[1].decode().splitlines())
    assert said["answer"] == kept["answer"] == row["answer"] == "not sure"
    assert said["recording"]["verdict"] == kept["recording"]["verdict"] == row["recording"]


ODD_ENTRIES = {
    "no JSON": "{", "empty": "", "not text": b"\xff\xfe", "a list": "[]", "a number": "7", "null": "null",
    "nothing in it": "{}", "deep": "[" * 100_000, "too large": " " * 2**21,
    "no file": {"file": None}, "no answer": {"answer": 7}, "no seconds": {"seconds": "long"},
    "endless": {"seconds": 1e999}, "no shares": {"probabilities": {}}, "a list of shares": {"probabilities": [1]},
    "shares of text": {"probabilities": {"sad": "much"}}, "NaN": {"probabilities": {"sad": float("nan")}},
    "huge": {"probabilities": {"sad": 10**400}}, "set of numbers": {"set": {"emotions": [1, 2]}}, "odd set": {"set": 7},
    "odd verdict": {"recording": "fine"}, "odd doubts": {"not_sure_because": 7},
}  # fmt: skip


def taught(app, *clips: Path, **headers) -> dict:
    for clip in clips:
        answer, content = ask(app, "POST", f"/teach?name={clip.name}", clip.read_bytes())
        assert answer.status == 200, content
    return json.loads(content)


@pytest.mark.slow
def test_answers_for_a_taught_voice_are_those_of_speaker_clips(app, tmp_path, recordings):
    clips = sorted((recordings / "ravdess" / "Actor_08").glob("03-01-*.wav"))[:5]
    before = json.loads(ask(app, "POST", "/predict?name=me.wav", clips[0].read_bytes())[1])
    assert taught(app, *clips[1:3])["clips"] == 2
    early = json.loads(ask(app, "POST", "/predict?name=me.wav", clips[0].read_bytes())[1])
    assert early == before
    assert before["speaker_clips"] == 0
    state = taught(app, *clips[3:])
    assert state == {"able": True, "clips": 4, "least": 3, "most": 16, "kept": False}
    said = json.loads(ask(app, "POST", "/predict?name=me.wav", clips[0].read_bytes())[1])
    (tmp_path / "voice").mkdir()
    for clip in clips[1:]:
        shutil.copy(clip, tmp_path / "voice")
    expected = predict(app.model, clips[0], timeline=True, adapted=adapt_to_speaker(app.model, tmp_path / "voice"))
    assert said == json.loads(json.dumps(as_dict(expected) | {"file": "me.wav"}))
    assert said["probabilities"] != before["probabilities"]
    assert said["speaker_clips"] == 4
    assert expected.threshold == app.model.threshold(0.9, clips=4) == app.model.metadata["sets"]["adapted 4"]["0.9"]
    assert "is not calibrated for this" in said["notes"][-1]
    assert not app.archive.folder.exists()
    assert json.loads(ask(app, "POST", "/forget")[1])["clips"] == 0
    assert json.loads(ask(app, "POST", "/predict?name=me.wav", clips[0].read_bytes())[1]) == before


def test_a_voice_is_kept_only_when_asked_and_forgotten_on_disk_too(app, recordings):
    clips = sorted((recordings / "ravdess" / "Actor_08").glob("03-01-*.wav"))[:3]
    assert ask(app, "POST", "/keep-voice")[0].status == 409
    taught(app, *clips)
    assert json.loads(ask(app, "POST", "/keep-voice")[1])["kept"]
    [path] = app.archive.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = EnrolledSpeaker(app.model, app.archive)
    features = app.model.features(load(clips[0], app.model.sampling_rate))
    assert again.state == app.speaker.state
    np.testing.assert_allclose(again.predictor[0]([features]), app.speaker.predictor[0]([features]), atol=1e-6)
    whole = path.read_bytes()
    for odd in (b"", whole[:500], whole.replace(app.speaker._key.encode(), b"0" * 64)):
        path.write_bytes(odd)
        assert EnrolledSpeaker(app.model, app.archive).state["clips"] == 0
    path.write_bytes(whole)
    for forget in ("/forget", "/delete"):
        taught(app, *clips)
        ask(app, "POST", "/keep-voice")
        assert ask(app, "POST", forget)[0].status == 200
        assert not app.archive.folder.exists()
        assert app.speaker.predictor is None


@pytest.mark.slow
def test_no_voice_is_learned_from_what_is_none_and_not_endlessly(app, recordings, tmp_path):
    answer, content = ask(app, "POST", "/teach?name=horn.wav", sounds(recordings)["silence.wav"])
    assert answer.status == 422
    assert json.loads(content)["error"].startswith("horn.wav: ")
    signal = load(recordings / "ravdess" / "Actor_08" / "03-01-05-02-01-01-08.wav", 48_000)
    soundfile.write(tmp_path / "long.wav", np.tile(signal, 20), 48_000)
    assert taught(app, tmp_path / "long.wav")["clips"] == 16
    assert ask(app, "POST", "/teach?name=more.wav", (tmp_path / "long.wav").read_bytes())[0].status == 409
    app.speaker.model = dataclasses.replace(app.model, adaptation=None)
    answer, content = ask(app, "POST", "/teach?name=more.wav", CLIP.read_bytes())
    assert (answer.status, "does not support speaker adaptation" in json.loads(content)["error"]) == (422, True)


def test_odd_kept_entries_are_passed_over(app, tmp_path):
    good = PREDICTED | {"probabilities": {"sad": 1.0}}
    for number, odd in enumerate(ODD_ENTRIES.values()):
        keep(app, number, json.dumps(good | odd) if isinstance(odd, dict) else odd)
    keep(app, 99, json.dumps(good))
    (tmp_path / "secret.json").write_text(json.dumps(good | {"file": "secret"}))
    (app.archive.folder / "sernb-20260101-000000-0000aaaa.json").symlink_to(tmp_path / "secret.json")
    (app.archive.folder / "sernb-20260101-000000-0000aaaa.wav").symlink_to(tmp_path / "secret.json")
    os.mkfifo(app.archive.folder / "sernb-20260101-000000-0000bbbb.json")
    (app.archive.folder / "sernb-20260101-000000-0000cccc.json").mkdir()
    answer, content = ask(app, "GET", "/kept")
    assert [each["file"] for each in json.loads(content)] == ["horn.wav"]
    assert ask(app, "GET", "/kept.csv")[0].status == answer.status == 200
    assert ask(app, "GET", "/sound?key=sernb-20260101-000000-0000aaaa")[0].status == 404
    assert ask(app, "POST", "/delete")[0].status == 200
    assert [path.name for path in app.archive.folder.iterdir()] == ["sernb-20260101-000000-0000cccc.json"]
    assert (tmp_path / "secret.json").exists()


def test_delete_everything_deletes_what_was_left_unfinished_and_nothing_else(app):
    keep(app, 1, "{")
    folder = app.archive.folder
    ours = [
        "sernb-20260101-000000-00000002.webm",
        ".unfinished-sernb-20260101-000000-00000003.wav-0123456789abcdef-1-aaaaaaaa.wav",
    ]
    others = ["sernb-20260101-000000-00000004.txt", "sernb-notes.json", ".unfinished-diary-1", "diary.wav"]
    for name in (*ours, *others):
        (folder / name).write_text("x")
    assert json.loads(ask(app, "POST", "/delete")[1]) == {"deleted": 3}
    assert sorted(path.name for path in folder.iterdir()) == sorted(others)


def test_nobody_else_may_read_what_is_kept(app):
    before = os.umask(0)
    try:
        assert ask(app, "POST", "/keep?name=me.flac", CLIP.read_bytes())[0].status == 200
    finally:
        os.umask(before)
    assert stat.S_IMODE(app.archive.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in app.archive.folder.iterdir()} == {0o600}


def test_whatever_goes_wrong_is_one_answer_and_one_line(app, monkeypatch, capsys):
    def fail(*_, **__):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("sernb.prediction.app.predict", fail)
    answer, content = ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())
    assert (answer.status, "\n" in json.loads(content)["error"]) == (500, False)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sernb: ZeroDivisionError: two lines (test_app.py:")
    monkeypatch.undo()
    assert ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())[0].status == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n\r\n", 505), (b"PUT / HTTP/1.1\r\n\r\n", 501),
        (b"DELETE /kept HTTP/1.1\r\n\r\n", 501), (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431), (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET /kept HTTP/1.1\r\nHost: HOST\r\nOrigin: http://[\r\nX-Sernb-Token: TOKEN\r\n\r\n", 403),
        (b"POST /predict HTTP/1.1\r\nHost: HOST\r\nX-Sernb-Token: TOKEN\r\n\r\n", 411),
        (b"POST /predict HTTP/1.1\r\nHost: HOST\r\nX-Sernb-Token: TOKEN\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST /predict HTTP/1.1\r\nHost: HOST\r\nX-Sernb-Token: TOKEN\r\nContent-Length: " + b"9" * 5000, 413),
        (b"POST /predict HTTP/1.1\r\nHost: HOST\r\nX-Sernb-Token: TOKEN\r\nContent-Length: 9\r\n\r\nabc", 400),
        (b"POST /predict HTTP/1.1\r\nHost: HOST\r\nX-Sernb-Token: \xff\r\n\r\n", 403),
    ],
)  # fmt: skip
def test_requests_that_no_browser_sends_are_answered_in_one_line(app, capsys, request_, status):
    request_ = request_.replace(b"HOST", f"127.0.0.1:{app.server_port}".encode()).replace(b"TOKEN", app.token.encode())
    with socket.create_connection(("127.0.0.1", app.server_port), timeout=20) as connection:
        connection.sendall(request_ + (b"" if request_.endswith(b"abc") else b"\r\n\r\n"))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as reader:
            content = reader.read()
    head, _, body = content.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert list(json.loads(body)) == ["error", "kind"]
    assert b"\n" not in body
    assert capsys.readouterr().err == ""


def test_a_silent_connection_is_closed_and_others_are_answered(app, monkeypatch):
    monkeypatch.setattr(app.RequestHandlerClass, "timeout", 0.2)
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{app.server_port}\r\nX-Sernb-Token: {app.token}\r\n"
    for sent, expected in ((b"", b""), (f"{head}Content-Length: 9\r\n\r\nabc".encode(), b"interrupted")):
        with socket.create_connection(("127.0.0.1", app.server_port), timeout=20) as connection:
            connection.sendall(sent)
            assert ask(app, "GET", "/kept")[0].status == 200
            content = connection.makefile("rb").read()
        assert expected in content


def test_all_uploads_together_have_a_limit(app, monkeypatch):
    monkeypatch.setattr("sernb.prediction.app.UPLOAD_WAIT", 0.05)
    with app.reserve(LARGEST - 10):
        answer, content = ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())
        assert (answer.status, json.loads(content)["error"]) == (
            503, "too many recordings are being predicted; try again in a minute",
        )  # fmt: skip
    assert ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())[0].status == 200
    assert app.reserved == 0


def test_nothing_temporary_is_left(app, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())[0].status == 200
    assert ask(app, "POST", "/predict?name=me.flac", b"x" * 1000)[0].status == 422
    assert list((tmp_path / "tmp").iterdir()) == []
    shutil.rmtree(tmp_path / "tmp")
    assert ask(app, "POST", "/predict?name=me.flac", CLIP.read_bytes())[0].status == 500


def test_on_port_80_browsers_leave_the_port_out(monkeypatch, tmp_path):
    monkeypatch.setattr(App, "server_bind", lambda self: setattr(self, "server_port", 80))
    monkeypatch.setattr(App, "server_activate", lambda self: None)
    with App(load_model(BUNDLED), tmp_path, 80) as served:
        assert served.hosts == {"127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"}


def test_a_port_that_cannot_be_had_is_one_line(app, monkeypatch, capsys):
    assert main(["app", "--port", str(app.server_port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    advice = "choose another with --port, or 0 for any free port"
    assert line == f"sernb: port {app.server_port} cannot be used (Address already in use); {advice}"

    def forbidden(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(App, "server_bind", forbidden)
    assert main(["app", "--port", "80"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == "sernb: port 80 requires privileges that you do not have; choose another with --port, or 0 for any free port"
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_stopped_server_leaves_nothing(tmp_path, how):
    """Not even while a recording comes in; what a killed one leaves goes when the next one starts."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "sernb", "app", "--port", "0", "--keep", str(tmp_path / "kept")]

    def started() -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, **pipes)

    process = started()
    address = urlsplit(process.stdout.readline().split()[1])
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        token = address.query.removeprefix("token=")
        head = f"POST /predict HTTP/1.1\r\nHost: {address.netloc}\r\nX-Sernb-Token: {token}\r\nContent-Length: 900000"
        connection.sendall(f"{head}\r\n\r\n".encode() + bytes(300_000))
        while not list(tmp_path.rglob("recording.wav")):
            assert process.poll() is None
        process.send_signal(getattr(signal, how))
        assert process.wait(60) == (-signal.SIGKILL if how == "SIGKILL" else 0)
    assert process.stderr.read() == ""
    if how == "SIGKILL":
        assert list(tmp_path.rglob("recording.wav"))
        process = started()
        process.stdout.readline()
        assert not list(tmp_path.rglob("recording.wav"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert list(tmp_path.glob("sernb*")) == []


@pytest.fixture
def page(app, tmp_path, recordings):
    """The page in Chromium, whose microphone hears a RAVDESS clip; whatever it asks for and complains of is noted."""
    if not CHROMIUM:
        pytest.skip("chromium is not here")
    from playwright.sync_api import sync_playwright

    spoken = load(recordings / "ravdess" / "Actor_08" / "03-01-05-02-01-01-08.wav", 48_000)
    soundfile.write(tmp_path / "spoken.wav", np.tile(spoken, 4), 48_000)
    options = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'spoken.wav'}",
    ]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=options)
        opened = browser.new_page(viewport={"width": 390, "height": 800})
        opened.set_default_timeout(120_000)
        opened.asked, opened.complaints = [], []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("console", lambda said: opened.complaints.append(said.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.goto(app.address)
        yield opened
        browser.close()


@pytest.mark.slow
def test_record_see_keep_export_delete(page, app):
    page.get_by_role("button", name="Record", exact=True).click()
    page.locator("#live svg").wait_for()  # emotion over time while one speaks
    assert re.fullmatch(r"0:0\d", page.inner_text("#clock"))
    assert page.inner_text("#clock") != "0:00"
    page.locator("#level-words:text-is('good')").wait_for()
    assert page.locator("#voice-record").is_disabled()
    page.get_by_role("button", name="Stop").click()
    page.locator("#result").wait_for()
    assert "Domain check: " in page.inner_text("#ready")
    assert page.locator("#bars tbody tr").count() == 7
    assert page.locator("#line svg").get_attribute("aria-label").startswith("Probability of each emotion over time")
    assert page.locator("#line svg text.says").count()  # what is said of each stretch stands in it
    assert not app.archive.folder.exists()
    page.get_by_role("button", name="Keep this recording").click()
    page.locator("#kept tbody tr").wait_for()
    assert len(list(app.archive.folder.glob("*.wav"))) == 1
    page.get_by_role("button", name="Play recording").click()
    page.locator("#kept audio").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert Path(download.value.path()).read_text("utf-8").splitlines()[0].startswith("file,seconds,answer")
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert len(list(app.archive.folder.glob("*.wav"))) == 1
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted 1 recording. Nothing is kept.").wait_for()
    assert not app.archive.folder.exists()
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {f"127.0.0.1:{app.server_port}"}
    assert not page.complaints
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def sounds(recordings) -> dict[str, bytes]:
    """What the page must not contradict itself about: speech of the corpus, of another language, and no speech."""
    time = np.arange(3 * 48_000) / 48_000
    chords = [[220, 277, 330], [247, 311, 370], [196, 247, 294]]
    strokes = [sum(np.sin(2 * np.pi * tone * time[:48_000]) for tone in chord) for chord in chords]
    waves = {
        "horn.wav": 0.4 * np.sign(np.sin(2 * np.pi * 440 * time)),
        "music.wav": 0.15 * np.concatenate(strokes) * np.tile(np.exp(-3 * time[:48_000]), 3),
        "silence.wav": np.zeros(len(time)),
        "clip.wav": load(recordings / "ravdess" / "Actor_08" / "03-01-05-02-01-01-08.wav", 48_000),
    }
    found = {}
    for name, wave in waves.items():
        written = io.BytesIO()
        soundfile.write(written, wave, 48_000, format="WAV")
        found[name] = written.getvalue()
    if espeak := shutil.which("espeak-ng"):
        said = [espeak, "-v", "de", "--stdout", "Guten Tag, ich komme morgen mit dem Zug nach Hause."]
        found["foreign.wav"] = subprocess.run(said, check=True, capture_output=True).stdout
    return found


@pytest.mark.slow
def test_page_json_csv_and_html_agree(page, app, tmp_path, recordings):
    shown, errors = {}, {}
    for name, content in sounds(recordings).items():
        path = tmp_path / name
        path.write_bytes(content)
        page.set_input_files("#file", path)
        page.locator(f"#status:text-is('Predicted {name}.'), #error:not(:empty)").first.wait_for()
        answer, content = ask(app, "POST", f"/predict?name={name}", content)
        said = json.loads(content)
        if answer.status != 200:
            errors[name] = said["error"]
            assert (page.inner_text("#error"), page.locator("#result").is_hidden()) == (said["error"], True)
            continue
        verdict, firm = said["recording"]["verdict"], said["answer"] != "not sure"
        assert page.inner_text("#answer") == (f"Sounds most like acted: {said['answer']}" if firm else "Not sure")
        assert page.inner_text("#ready") == f"Domain check: {verdict}"
        assert page.inner_text("#why") == "; ".join(said["not_sure_because"])
        assert said["reliable"] == (firm and verdict == "in domain")
        assert page.inner_text("#reliance") == ("" if said["reliable"] else "Unreliable")
        grey = page.locator("#bars svg .grey").count()
        assert grey == (0 if said["reliable"] else len(app.model.classes)), name
        assert page.locator("#bars caption").count() == (not said["reliable"])
        assert ("One of" in page.inner_text("#set")) == bool(said["set"]) == (verdict != "out of domain")
        shown[name] = said
        page.get_by_role("button", name="Keep this recording").click()
        page.get_by_text(f"Kept {name}.").wait_for()
    assert "silence.wav" in errors
    assert {"horn.wav", "clip.wav"} <= set(shown)
    assert shown["horn.wav"]["answer"] == "not sure"
    exported = {}
    for form in ("CSV", "JSON", "HTML"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Export as {form}").click()
        exported[form] = Path(download.value.path()).read_text("utf-8")
    rows = {row["file"]: row for row in csv.DictReader(exported["CSV"].splitlines())}
    entries = {each["file"]: each for each in json.loads(exported["JSON"])}
    listed = {row.locator("th").inner_text(): row for row in page.locator("#kept tbody tr").all()}
    assert set(rows) == set(entries) == set(listed) == set(shown)
    page.set_content(exported["HTML"])
    told = {row.locator("th").inner_text(): row.inner_text() for row in page.locator("tbody tr").all()}
    for name, said in shown.items():
        row, entry, verdict = rows[name], entries[name], said["recording"]["verdict"]
        assert (row["answer"], row["recording"]) == (said["answer"], verdict)
        assert row["reliable"] == ("yes" if said["reliable"] else "no")
        assert row["set"] == (" ".join(said["set"]["emotions"]) if said["set"] else "")
        assert {key: entry[key] for key in ("answer", "reliable", "set", "not_sure_because", "probabilities")} == {
            key: said[key] for key in ("answer", "reliable", "set", "not_sure_because", "probabilities")
        }
        assert (entry["recording"]["verdict"], entry["recording"]["reasons"]) == (verdict, said["recording"]["reasons"])
        assert said["answer"] in told[name]
        assert verdict in told[name]
        assert ("unreliable" in told[name]) != said["reliable"]
        assert all(reason in told[name] for reason in (*said["not_sure_because"], *said["recording"]["reasons"]))


@pytest.mark.slow
def test_a_voice_is_taught_and_forgotten(page, app, recordings):
    clips = sorted((recordings / "ravdess" / "Actor_08").glob("03-01-*.wav"))[:5]
    page.set_input_files("#file", clips[0])
    page.get_by_text(f"Predicted {clips[0].name}.").wait_for()
    before = page.inner_text("#bars")
    page.set_input_files("#voice-file", clips[1:3])
    page.get_by_text("2 of 16 clips: 1 more needed to adapt.").wait_for()
    page.get_by_text(f"Predicted {clips[0].name}.").wait_for()
    assert page.inner_text("#bars") == before
    page.set_input_files("#voice-file", clips[3:])
    page.get_by_text("4 of 16 clips: predictions are adapted to this voice.").wait_for()
    page.get_by_text("adapted to the speaker with 4 clips").wait_for()
    assert page.inner_text("#bars") != before
    assert not app.archive.folder.exists()
    page.get_by_role("button", name="Forget this voice").click()
    page.locator("#voice-state:empty").wait_for(state="attached")
    page.locator("#notes:empty").wait_for(state="attached")
    page.get_by_text(f"Predicted {clips[0].name}.").wait_for()
    assert page.inner_text("#bars") == before


@pytest.mark.slow
def test_one_kept_recording_is_deleted_when_confirmed(page, app):
    for number in (1, 2):
        page.set_input_files("#file", CLIP)
        page.get_by_text(f"Predicted {CLIP.name}.").wait_for()
        page.get_by_role("button", name="Keep this recording").click()
        page.locator(f"#kept tbody tr:nth-child({number})").wait_for()
    first, second = app.archive.list_entries()
    for box in [each.bounding_box() for each in page.get_by_role("button").all() if each.is_visible()]:
        assert box["x"] >= 0  # none is cut at 390 px
        assert box["x"] + box["width"] <= 390
    for choice, left in (("Cancel", 2), ("Delete", 1)):
        page.locator("#kept").get_by_role("button", name=f"Delete {CLIP.name}").first.click()
        page.get_by_role("dialog").get_by_role("button", name=choice, exact=True).click()
        page.get_by_role("dialog").wait_for(state="hidden")
        page.locator(f"#kept tbody tr:nth-child({left + 1})").wait_for(state="detached")
        assert page.locator("#kept tbody tr").count() == left
    assert [each["key"] for each in app.archive.list_entries()] == [second["key"]]
    assert ask(app, "POST", f"/delete-one?key={first['key']}")[0].status == 404
    assert not page.complaints


@pytest.mark.slow
def test_every_format_can_be_uploaded(page, app, tmp_path):
    signal, rate = soundfile.read(CLIP)
    for form in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"<b>me.{form}"
        soundfile.write(path, signal, rate)
        page.set_input_files("#file", path)
        page.get_by_text(f"Predicted <b>me.{form}.").wait_for()
        assert page.locator("#answer").inner_text()
        page.locator("#error:empty").wait_for(state="attached")
    (tmp_path / "picture.wav").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    page.set_input_files("#file", tmp_path / "picture.wav")
    page.get_by_text("picture.wav: is not an audio file").wait_for()
    assert page.locator("#result").is_hidden()


@pytest.mark.slow
def test_what_needs_ffmpeg_is_decoded_by_the_browser(page, app, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    signal, rate = soundfile.read(CLIP)
    soundfile.write(tmp_path / "me.ogg", signal, rate, format="OGG", subtype="OPUS")
    (tmp_path / "me.m4a").write_bytes((tmp_path / "me.ogg").read_bytes())
    page.set_input_files("#file", tmp_path / "me.m4a")
    page.get_by_text("Predicted me.m4a.").wait_for()
    assert page.locator("#bars tbody tr").count() == 7
