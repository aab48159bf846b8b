"""The HTTP client against a server that does everything wrong: one clear line each, and the key in none of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.text_server import Fault, TextServer, text_server
from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.hosted.address import Address
from vsg_core.hosted.answers import Answers
from vsg_core.hosted.capabilities import PLAIN, ask_capabilities
from vsg_core.hosted.hosted_model import HostedModel
from vsg_core.hosted.server import HIDDEN, KEYS, SECONDS, NoServer, Patience, Server, seconds_to_wait
from vsg_core.weights import loading

SECRET = "sk-very-secret-0123456789"
PATIENCE = Patience(answer=2.0, connect=2.0, tries=4, waits=100.0)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEYS, SECONDS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> Iterator[TextServer]:
    with text_server() as state:
        yield state


class Client:
    """Opens models on a server, and notes how long they would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def server(self, api: TextServer, key: str = "", patience: Patience = PATIENCE) -> Server:
        return Server(Address.of(api.target), key, patience, self.slept.append)

    def model(self, api: TextServer, folder: Path | None = None, **options: Any) -> HostedModel:
        return HostedModel(self.server(api, **options), Answers(folder), name="m")


@pytest.fixture
def client() -> Client:
    return Client()


def failure(model: HostedModel, prompt: str = "Once") -> str:
    """The one line of what keeps a prompt from being continued."""
    with pytest.raises(VsgError) as caught:
        model.complete([prompt], 3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_continues_lists_and_chats(api: TextServer, client: Client) -> None:
    model = client.model(api)
    assert model.kind == "instruct"
    assert [reply.stopped for reply in model.complete(["Once", "Twice"], 3)] == ["length", "length"]
    likely = model.likely(["Once"], 5)[0]
    assert len(likely.tokens) == 5
    assert list(likely.probabilities) == sorted(likely.probabilities, reverse=True)
    assert model.ask(["Who?"], 2)[0].text
    assert model.meter.passes == 4


def test_greedy_defaults_of_the_server_are_turned_off_where_it_lets_us(
    api: TextServer, client: Client
) -> None:
    """By the names that llama.cpp and vLLM give the penalty; where one is refused, by the others."""
    neutral = {"repeat_penalty": 1.0, "repetition_penalty": 1.0, "top_k": 0, "min_p": 0.0, "temperature": 0}
    model = client.model(api)
    for ask in (model.complete, model.ask):
        ask(["Once"], 3)
        assert neutral.items() <= api.requests[-1][1].items()
    assert "refused" not in str(model.notes)
    with (
        text_server(refuses=("repeat_penalty", "top_k")) as some,
        text_server(refuses=tuple(PLAIN)) as strict,
    ):
        model = client.model(some)
        model.complete(["Once"], 3)
        assert some.requests[-1][1].keys() & PLAIN.keys() == {"repetition_penalty", "min_p"}
        assert "with completions, so that the server's own values apply: repeat_penalty, top_k" in str(
            model.notes
        )
        model = client.model(strict)
        model.complete(["Once"], 3)
        assert not strict.requests[-1][1].keys() & PLAIN.keys()
        assert "sent with completions" not in str(model.notes)


@pytest.mark.parametrize("how", ["apart", "tagged", "unseen"])
def test_a_model_that_reasons_before_it_answers_is_asked_not_to(client: Client, how: str) -> None:
    with text_server(thinks=how, obeys=True) as obeys, text_server(thinks=how) as reasons:
        assert client.model(obeys).ask(["Who?"], 3)[0].text
        assert obeys.requests[-1][1]["chat_template_kwargs"] == {"enable_thinking": False}
        model = client.model(reasons)
        assert (model.kind, "chat" in model.can.text) == ("instruct", False)
        assert model.complete(["Once"], 3)
        with pytest.raises(NotApplicable, match="reasons before it answers: start the server with reasoning"):
            model.ask(["Who?"], 3)


def test_where_it_cannot_be_asked_not_to_reason_its_answers_show_it(client: Client) -> None:
    with text_server(refuses=("chat_template_kwargs",)) as api:
        model = client.model(api)
        assert model.ask(["Who?"], 3)
        assert "chat_template_kwargs" not in api.requests[-1][1]
        assert api.requests[-1][1]["repeat_penalty"] == 1.0
        assert "refused with chat, so that the server's own values apply: chat_template_kwargs" in str(
            model.notes
        )
        # Before some answers only.
        api.thinks = "apart"
        with pytest.raises(NotApplicable, match="reasons before it answers"):
            model.ask(["Where?"], 3)


def test_a_server_that_only_chats_is_asked_without_its_defaults(client: Client) -> None:
    with text_server(can=("/chat/completions",)) as chats:
        model = client.model(chats)
        model.ask(["Who?"], 3)
        assert chats.requests[-1][1]["repetition_penalty"] == 1.0
        assert "completions" not in str(model.notes)


def test_retry_after_is_obeyed(api: TextServer, client: Client) -> None:
    model = client.model(api)
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    api.faults.extend([Fault(429, {"Retry-After": "7"}), Fault(429, {"Retry-After": until}), None])
    model.complete(["Once"], 3)
    assert client.slept[0] == 7
    assert 45 < client.slept[1] <= 50


def test_a_server_that_asks_for_too_much_patience_is_given_up(api: TextServer, client: Client) -> None:
    model = client.model(api)
    api.faults.append(Fault(429, {"Retry-After": "86400"}))
    text = failure(model)
    assert "asks for 86400 s more" in text
    assert "run again" in text
    assert client.slept == []


def test_what_was_wrong_for_a_moment_is_asked_again(api: TextServer, client: Client) -> None:
    model = client.model(api)
    expected = model.complete(["Once"], 3)
    api.faults.extend([Fault(500), Fault(cut=True), Fault(body=b"<html>"), None])
    assert model.complete(["Once"], 3) == expected
    assert client.slept == [1, 2, 4]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(500), "answers 500: fault 500, 4 times"),
        (Fault(503), "answers 503"),
        (Fault(429), "answers 429"),
        (Fault(cut=True), "cuts its answers off, 4 times"),
        (Fault(body=b"<html>"), "not JSON"),
        (Fault(body=b"[]"), "not an object"),
        (Fault(body=b'{"error": {"message": "out of tea"}}'), "out of tea"),
        (Fault(body=b'{"model": "tiny"}'), "without a choice"),
        (Fault(body=b'{"model": "tiny", "choices": [{}]}'), "without a text"),
    ],
)
def test_what_stays_wrong_is_one_line(api: TextServer, client: Client, fault: Fault, words: str) -> None:
    model = client.model(api)
    api.always["/completions"] = fault
    text = failure(model)
    assert words in text
    assert "0 of 1 requests were answered, too few for a verdict" in text


def test_a_claim_is_told_how_many_trials_there_were(api: TextServer, client: Client) -> None:
    model = client.model(api)
    api.faults.extend([None, None, *[Fault(500)] * PATIENCE.tries])
    with pytest.raises(VsgError, match="2 of 5 requests were answered, too few for a verdict"):
        model.complete(["a", "b", "c", "d", "e"], 2)


def test_a_slow_server_is_one_line(api: TextServer, client: Client) -> None:
    model = client.model(api, patience=Patience(answer=0.3, tries=2))
    api.always["/completions"] = Fault(seconds=1.0)
    assert (
        f"no answer within 0.3 s: try a smaller model or a faster machine, or allow more with {SECONDS}"
        in failure(model)
    )


def test_a_server_that_is_gone_is_unavailable(client: Client) -> None:
    with text_server() as api:
        model = client.model(api)
    with pytest.raises(
        NoServer, match=r"no server answers at http://127.0.0.1.*: start it, or correct the URL"
    ):
        model.complete(["Once"], 2)
    # One that answered before may be starting again; after that it is not waited for at every request.
    assert client.slept == [1, 2, 4, 8, 16, 30, 30]
    with pytest.raises(NoServer):
        model.complete(["Once"], 2)
    with pytest.raises(NoServer):
        client.model(api)
    assert len(client.slept) == 7


@pytest.mark.parametrize("weights", [0, 1])
def test_a_server_that_starts_again_is_waited_for(weights: int) -> None:
    """With other weights it is an error, at every request: the verdict would be of two models."""
    slept: list[float] = []
    with ExitStack() as life:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 1:
                life.close()
            if len(slept) == 4:
                life.enter_context(text_server(port, weights=weights))

        api = life.enter_context(text_server())
        port = urlsplit(api.url).port or 0
        model = HostedModel(Server(Address.of(api.target), "", PATIENCE, sleep), Answers(None))
        expected = model.complete(["Once"], 3)
        api.faults.append(Fault(503, {"Retry-After": "3"}))
        if weights:
            for _ in range(2):
                assert "started again and answers differently" in failure(model)
        else:
            assert model.complete(["Once"], 3) == expected
    assert slept == [3, 2, 4, 8]


def test_five_logprobs_are_used_and_none_is_not_applicable(client: Client) -> None:
    with text_server(lists=5) as five, text_server(lists=0) as none:
        model = client.model(five)
        assert model.most_listed == 5
        assert len(model.likely(["Once"])[0].tokens) == 5
        without = client.model(none)
        assert without.complete(["Once"], 2)
        with pytest.raises(NotApplicable, match="without logprobs"):
            without.likely(["Once"])


@pytest.mark.parametrize("least", ["-9999.0", "-Infinity"])
def test_tokens_that_are_listed_as_impossible_are_not_listed(
    api: TextServer, client: Client, least: str
) -> None:
    """OpenAI's API gives those that it leaves out -9999, vLLM those that were cut off -Infinity."""
    model = client.model(api)
    top = f'{{" a": -0.1, " b": -2.5, " c": {least}}}'
    body = f'{{"model": "tiny", "choices": [{{"text": " a", "logprobs": {{"top_logprobs": [{top}]}}}}]}}'
    api.always["/completions"] = Fault(body=body.encode())
    (likely,) = model.likely(["Once"])
    assert likely.tokens == (" a", " b")
    assert likely.probabilities[-1] > 0


def test_logprobs_that_end_are_an_error(api: TextServer, client: Client) -> None:
    model = client.model(api)
    api.lists = 0
    with pytest.raises(VsgError, match="without the logprobs that it gave before") as caught:
        model.likely(["Once"])
    assert not isinstance(caught.value, NotApplicable)


def test_lacks_are_told_apart(client: Client) -> None:
    with text_server(can=("/chat/completions",)) as chats, text_server(can=("/completions",)) as completes:
        model = client.model(chats)
        assert model.kind == "instruct"
        assert model.ask(["Who?"], 2)
        for ask in (lambda: model.complete(["Once"]), lambda: model.likely(["Once"])):
            with pytest.raises(NotApplicable, match="404"):
                ask()
        base = client.model(completes)
        assert base.kind == "base"
        assert base.ask(["Who?"], 2)
        assert completes.requests[-1][1]["prompt"] == "Question: Who?\nAnswer:"
        with pytest.raises(NotApplicable, match="no tokenizer"):
            base.complete(["Once"], bias=[{" Paris": -100.0}])
    with text_server(can=("/models",)) as nothing, pytest.raises(VsgError, match="neither continues texts"):
        client.model(nothing)


def test_a_500_to_a_probe_is_a_lack_and_a_429_is_not(api: TextServer, client: Client) -> None:
    api.always["/chat/completions"] = Fault(500)
    assert "fault 500" in ask_capabilities(client.server(api)).chats
    api.always["/chat/completions"] = Fault(429)
    with pytest.raises(VsgError, match="429"):
        ask_capabilities(client.server(api))


def test_models_may_be_listed_without_an_object_around(client: Client) -> None:
    with text_server(bare=True) as api:
        assert client.model(api).can.says["owned_by"] == "me"
        other = Server(Address("other", api.url), "", PATIENCE)
        with pytest.raises(WrongUse, match="has no model other, but tiny"):
            ask_capabilities(other)


@pytest.mark.parametrize("body", [b"7", b"null", b'"tiny"', b'{"data": 7}', b'{"data": [7]}', b"<html>"])
def test_a_list_of_models_of_no_use_is_done_without(api: TextServer, client: Client, body: bytes) -> None:
    api.always["/models"] = Fault(body=body)
    assert client.model(api).can.says == {
        "model": "tiny",
        "answers as": "tiny",
        "system_fingerprint": "fp_1",
    }
    api.always["/models"] = Fault(500)
    assert client.model(api).complete(["Once"], 2)


def test_json_of_another_shape_is_not_asked_for_again(api: TextServer, client: Client) -> None:
    model = client.model(api)
    asked = api.asked("/completions")
    api.always["/completions"] = Fault(body=b"[]")
    assert "JSON that is not an object" in failure(model)
    assert api.asked("/completions") == asked + 1
    assert client.slept == []


def test_log_probabilities_of_no_use_are_done_without(api: TextServer, client: Client) -> None:
    def odd(body: dict[str, Any]) -> Fault | None:
        listed = {"text": "a", "logprobs": {"top_logprobs": [{"a": "much"}]}}
        return Fault(body=json.dumps({"choices": [listed]}).encode()) if "logprobs" in body else None

    api.fault_of = odd
    assert "not numbers" in client.model(api).can.no_list


def test_the_wrong_model_is_refused(api: TextServer, client: Client) -> None:
    other = Server(Address("other", api.url), "", PATIENCE)
    with pytest.raises(WrongUse, match=f"has no model other, but tiny: .*openai:tiny@{api.url}"):
        ask_capabilities(other)
    with (
        text_server(answers_as="huge", can=("/completions",)) as liar,
        pytest.raises(WrongUse, match="answers as huge"),
    ):
        client.model(liar)
    with text_server(answers_as="tiny-2026-11-29") as dated:
        model = client.model(dated)
        dated.answers_as = "tiny-2026-11-30"
        assert "no verdict is of two models" in failure(model)


@pytest.mark.parametrize(
    ("asked", "answers", "same"),
    [
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("owner/Tiny", "tiny", True),
        ("tiny", "tiny:7b", True),
        ("tiny", "tiny@001", True),
        ("gpt-4", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini", False),
        ("llama-3", "llama-3.1-8b", False),
        ("tiny", "tiny-instruct", False),
    ],
)
def test_a_version_of_the_model_is_it_and_a_longer_name_is_not(
    client: Client, asked: str, answers: str, same: bool
) -> None:
    with text_server(model=asked, answers_as=answers) as api:
        if same:
            assert client.model(api).can.says["answers as"] == answers
            return
        with pytest.raises(WrongUse, match=f"asked for {asked} and answers as {answers}"):
            client.model(api)


def test_completions_and_chat_may_have_names_of_their_own(client: Client) -> None:
    with text_server(chats_as="tiny-2026") as api:
        model = client.model(api)
        assert model.can.says["answers as"] == "tiny and tiny-2026"
        assert model.complete(["Once"], 2)
        assert model.ask(["Who?"], 2)
        api.chats_as = "tiny-2027"
        assert model.complete(["Twice"], 2)
        with pytest.raises(VsgError, match="no verdict is of two models"):
            model.ask(["Where?"], 2)
    with text_server(chats_as="huge") as liar, pytest.raises(WrongUse, match="answers as huge"):
        client.model(liar)


def test_half_a_character_is_neither_sent_nor_kept(api: TextServer, client: Client, tmp_path: Path) -> None:
    """As in JSON of a text that is cut between the halves of an emoji."""
    model = client.model(api, tmp_path)
    with pytest.raises(WrongUse, match="has half a character"):
        model.complete(["\udce9"], 3)
    api.always["/completions"] = Fault(body=b'{"model": "tiny", "choices": [{"text": "so \\ud83d"}]}')
    assert model.complete(["Once"], 3)[0].text == "so \N{REPLACEMENT CHARACTER}"


def test_a_bias_moves_the_answer(api: TextServer, client: Client) -> None:
    model = client.model(api)
    first = model.likely(["Once"])[0].tokens[0]
    assert model.complete(["Once"], 1)[0].text == first
    assert model.complete(["Once"], 1, bias=[{first: -100.0}])[0].text != first
    with pytest.raises(NotApplicable, match="tokens of m"):
        model.complete(["Once"], 1, bias=[{" two words": 1.0}])


def test_answers_are_kept_by_request(api: TextServer, client: Client, tmp_path: Path) -> None:
    first = client.model(api, tmp_path)
    replies = first.complete(["Once", "Twice"], 3)
    asked = api.asked("/completions")
    again = client.model(api, tmp_path)
    probes = api.asked("/completions") - asked
    assert again.complete(["Once", "Twice"], 3) == replies
    assert api.asked("/completions") == asked + probes
    assert again.meter.passes == 0
    # Another request, a fresh one, another version of the model: asked anew.
    again.complete(["Once"], 4)
    again.complete(["Once"], 3, fresh=True)
    assert api.asked("/completions") == asked + probes + 2
    api.system_fingerprint = "fp_2"
    renewed = client.model(api, tmp_path)
    assert renewed.fingerprint != first.fingerprint
    renewed.complete(["Once"], 3)
    assert renewed.meter.passes == 1


def test_other_weights_under_one_name_are_another_model(
    api: TextServer, client: Client, tmp_path: Path
) -> None:
    """On the same port, and on another one, though the server says the same of both."""
    first = client.model(api, tmp_path)
    replies = first.complete(["Once"], 3)
    api.weights = 1
    second = client.model(api, tmp_path)
    assert second.can.says == first.can.says
    assert second.fingerprint != first.fingerprint
    assert second.complete(["Once"], 3) != replies
    with text_server(weights=1) as moved:
        assert client.model(moved).fingerprint == second.fingerprint
    with text_server(weights=1, meta={"size": 7, "n_ctx": 5}) as larger, text_server(weights=1) as smaller:
        assert client.model(larger).can.says["size"] == "7"
        assert client.model(larger).fingerprint != client.model(smaller).fingerprint


def test_a_model_is_the_same_whether_or_not_its_server_lists_tokens(client: Client) -> None:
    with text_server(lists=20) as lists, text_server(lists=0) as lacks:
        assert client.model(lists).fingerprint == client.model(lacks).fingerprint


def test_what_changes_with_every_call_is_no_part_of_the_identity(client: Client, tmp_path: Path) -> None:
    with text_server(clock=True) as api:
        first = client.model(api, tmp_path)
        replies = first.complete(["Once"], 3)
        again = client.model(api, tmp_path)
        assert again.fingerprint == first.fingerprint
        assert again.complete(["Once"], 3) == replies
        assert again.meter.passes == 0
        assert "created" not in str(again.notes)


def test_a_damaged_answer_is_asked_again(api: TextServer, client: Client, tmp_path: Path) -> None:
    model = client.model(api, tmp_path)
    replies = model.complete(["Once"], 3)
    (kept,) = tmp_path.glob("*/*.json")
    assert set(json.loads(kept.read_text())) == {"request", "answer"}
    kept.write_text(kept.read_text()[:50])
    assert model.complete(["Once"], 3) == replies
    assert not list(tmp_path.glob("*/.*"))


def test_a_folder_that_cannot_be_written_is_no_fault(api: TextServer, client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert client.model(api, tmp_path / "file").complete(["Once"], 2)


def test_the_key_is_sent_and_hidden(client: Client, tmp_path: Path) -> None:
    with text_server(key=SECRET, echoes=f" {SECRET}") as api:
        model = client.model(api, tmp_path, key=SECRET)
        assert set(api.keys) == {f"Bearer {SECRET}"}
        assert model.complete(["Once"], 2)[0].text.endswith(HIDDEN)
        kept = "".join(path.read_text() for path in tmp_path.glob("*/*.json"))
        assert kept
        assert SECRET not in kept
        assert SECRET not in repr(vars(model.can)) + repr(model.notes) + repr(model.identity)
        api.always["/completions"] = Fault(
            400, body=json.dumps({"error": {"message": f"bad {SECRET}"}}).encode()
        )
        text = failure(model, "Twice")
        assert HIDDEN in text
        assert SECRET not in text


def test_a_key_that_is_not_taken(client: Client) -> None:
    with text_server(key=SECRET) as api:
        with pytest.raises(VsgError, match=r"asks for a key .401.*set VSG_API_KEY or OPENAI_API_KEY"):
            client.model(api)
        with pytest.raises(VsgError, match="does not take the key") as caught:
            client.model(api, key="sk-another-0123456789")
        assert "sk-another" not in str(caught.value)


def test_a_key_that_no_header_takes_is_not_shown(api: TextServer, client: Client) -> None:
    for key in (f"{SECRET}\nX: y", f"{SECRET}é"):
        with pytest.raises(WrongUse, match="no header takes") as caught:
            client.model(api, key=key)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_key_travels_only_where_nobody_reads_it() -> None:
    with pytest.raises(WrongUse, match="use https") as caught:
        Server(Address("m", "http://example.org/v1"), SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "gopher"])
def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:{SECRET}@127.0.0.1:9")
    with pytest.raises(WrongUse, match=r"proxy that the environment names .* cannot be used") as caught:
        Server(Address("m", "http://example.invalid/v1"), "")
    assert SECRET not in str(caught.value)
    # To this machine no proxy is used.
    Server(Address("m", "http://127.0.0.1:9/v1"), "")


def test_key_and_patience_come_from_the_environment(api: TextServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "second-key-123")
    monkeypatch.setenv(SECONDS, "7.5")
    server = Server(Address.of(api.target))
    server.get(f"{api.url}/models")
    assert server.patience.answer == 7.5
    monkeypatch.setenv("VSG_API_KEY", "first-key-123")
    Server(Address.of(api.target)).get(f"{api.url}/models")
    assert api.keys == ["Bearer second-key-123", "Bearer first-key-123"]
    monkeypatch.setenv(SECONDS, "soon")
    with pytest.raises(WrongUse, match=f"{SECONDS} is not a number"):
        Server(Address.of(api.target))


def test_retry_after_has_two_forms() -> None:
    assert seconds_to_wait("12") == 12
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_to_wait("soon") is None
    assert seconds_to_wait("nan") is None
    assert seconds_to_wait(None) is None


def test_hosted_models_are_described_without_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = loading.describe("openai:Owner/Qwen2-7B@http://127.0.0.1:9/v1")
    assert (entry.name, entry.family, entry.kind) == ("openai-owner--qwen2-7b", "qwen", "instruct")
    assert loading.describe("openai:llama-base@http://127.0.0.1:9/v1").kind == "base"
    assert loading.weights_id(entry) == ""
    assert loading.target_of(entry, "openai:Owner/Qwen2-7B@http://127.0.0.1:9/v1/").endswith("/v1")
    with pytest.raises(WrongUse, match="takes text only"):
        loading.load_model("openai:tiny@http://127.0.0.1:9/v1")
    with pytest.raises(WrongUse, match="leave --weights and --engine out"):
        loading.describe("openai:tiny@http://127.0.0.1:9/v1", "nf4")
    with pytest.raises(NoServer):
        loading.load_text_model("openai:tiny@http://127.0.0.1:9/v1")


def test_a_hosted_model_is_opened_by_its_target(
    api: TextServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path))
    model = loading.load_text_model(api.target)
    assert model.name == "openai-tiny"
    assert model.complete(["Once"], 2)
    assert list(tmp_path.glob("answers/*/*.json"))
    assert loading.weights_id(loading.describe(api.target)).endswith("-said-by-server")
