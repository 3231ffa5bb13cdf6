"""Sec-WebSocket-Extensions: the grammar, and what a request and a response agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.websocket.extensions import (
    CLIENT,
    MAX_NAMES,
    SERVER,
    DeflateSide,
    Extension,
    Parameter,
    agree_deflate,
    deflate_offer_faults,
    parse_extensions,
)


def parse(*lines: str):
    return parse_extensions([line.encode("latin-1") for line in lines])


def agree(request: str | None, response: str):
    return agree_deflate(None if request is None else parse(request), parse(response))


def rules(agreement) -> list[tuple[str, int]]:
    return [(fault.rule, fault.side) for fault in agreement.faults]


class TestGrammar:
    def test_one_offer(self):
        assert parse("permessage-deflate; client_max_window_bits") == (
            (Extension("permessage-deflate", (Parameter("client_max_window_bits", None, False),)),),
            (),
        )

    def test_several_lines_and_lists_keep_their_order(self):
        parsed = parse("a, b;x=1", "c")
        assert [offer.name for offer in parsed.offers] == ["a", "b", "c"]
        assert parsed.faults == ()

    def test_quoted_value_is_unquoted(self):
        assert parse('a; x="1\\0"').offers[0].params == (Parameter("x", "10", True),)
        assert parse('a; x="1\\0"').faults == ()

    def test_white_space_around_every_separator(self):
        assert parse(" a\t; x = \t1 ; y ,  b ") == parse("a;x=1;y,b")

    def test_separators_within_quotes_do_not_separate(self):
        parsed = parse('a; x="1,2;3=4", b')
        assert [offer.name for offer in parsed.offers] == ["a", "b"]
        assert parsed.offers[0].params == (Parameter("x", "1,2;3=4", True),)

    def test_no_header_is_no_fault(self):
        assert parse() == ((), ())

    @pytest.mark.parametrize(
        ("lines", "faults"),
        [
            (("a,,b",), ("empty-element",)),
            ((",a",), ("empty-element",)),
            (("a,",), ("empty-element",)),
            (("a", " "), ("empty-element",)),
            (("",), ("empty-element", "empty-list")),
            (("a;",), ("empty-parameter",)),
            (("a;;x",), ("empty-parameter",)),
            (("a b",), ("bad-name",)),
            ((";x",), ("bad-name",)),
            (("a;=1",), ("bad-name",)),
            (("a;x y=1",), ("bad-name",)),
            (("a/1",), ("bad-name",)),
            (("\xe4",), ("bad-name",)),
            (("a;x=1 2",), ("bad-value",)),
            (("a;x=1=2",), ("bad-value",)),
            (('a;x="1"2',), ("bad-value",)),
            (("a;x=",), ("missing-value",)),
            (("a;x= ,b",), ("missing-value",)),
            (('a;x="1',), ("unterminated-quote",)),
            (('a;x="1\\"',), ("unterminated-quote", "quoted-not-token")),
            (('a;x="',), ("unterminated-quote", "quoted-not-token")),
            (('a;x="1\\',), ("unterminated-quote", "quoted-not-token")),
            (('a;x=""',), ("quoted-not-token",)),
            (('a;x="1 2"',), ("quoted-not-token",)),
        ],
    )
    def test_faults(self, lines, faults):
        assert parse(*lines).faults == faults

    def test_quote_left_open_does_not_swallow_the_next_line(self):
        assert [offer.name for offer in parse('a;x="1', "b").offers] == ["a", "b"]

    def test_what_is_malformed_is_kept_as_far_as_read(self):
        assert parse("a;x=1 2;y").offers[0].params == (Parameter("x", "1 2", False), Parameter("y", None, False))

    def test_reading_stops_at_the_limit(self):
        parsed = parse(",".join(["permessage-deflate"] * 10_000))
        assert len(parsed.offers) == MAX_NAMES
        assert parsed.faults == ("too-many-names",)

    def test_up_to_the_limit_all_is_read(self):
        parsed = parse(",".join(["a"] * MAX_NAMES))
        assert len(parsed.offers) == MAX_NAMES
        assert parsed.faults == ()

    def test_parameters_count_against_the_limit(self):
        parsed = parse("a", "b" + ";x" * MAX_NAMES)
        assert [offer.name for offer in parsed.offers] == ["a"]
        assert parsed.faults == ("too-many-names",)

    @pytest.mark.parametrize("unit", [",", ";", "=", '"', "\\", '"\\', 'a="', " ", "a;", "a,", "a=", 'a;x="1",', "\xff"])
    def test_64_kB_of_anything(self, unit):
        parsed = parse(unit * (65536 // len(unit)))
        assert len(parsed.offers) <= MAX_NAMES
        assert parsed.faults

    @given(st.lists(st.binary(max_size=200) | st.text('a;,="\\ 1', max_size=60).map(str.encode), max_size=4))
    def test_never_raises(self, lines):
        parsed = parse_extensions(lines)
        agree_deflate(parsed, parsed)

    token = st.text("abc-_.!1", min_size=1, max_size=8)
    value = st.none() | token | token.map(lambda text: f'"{text}"')
    extension = st.tuples(token, st.lists(st.tuples(token, value), max_size=4))

    @given(st.lists(extension, min_size=1, max_size=5), st.sampled_from(["", " ", "\t", " \t "]), st.booleans())
    def test_what_is_written_is_read(self, extensions, space, lines):
        written = [
            f"{space};{space}".join([name, *(key if text is None else f"{key}{space}={space}{text}" for key, text in params)])
            for name, params in extensions
        ]
        parsed = parse(*written) if lines else parse(f"{space},{space}".join(written))
        assert parsed.faults == ()
        assert parsed.offers == tuple(
            (name, tuple((key, text and text.strip('"'), bool(text) and text[0] == '"') for key, text in params))
            for name, params in extensions
        )


class TestAgreement:
    def test_not_accepted(self):
        assert agree_deflate(parse("permessage-deflate"), None) is None
        assert agree_deflate(parse("permessage-deflate"), parse()) is None
        assert agree("permessage-deflate", "x-permessage-deflate") is None

    def test_plain(self):
        agreement = agree("permessage-deflate", "permessage-deflate")
        assert agreement == ((DeflateSide(False, 15), DeflateSide(False, 15)), (), 0, (), False)

    def test_each_parameter_governs_its_sender(self):
        both = "permessage-deflate; server_no_context_takeover; client_max_window_bits=11"
        assert agree(both, both).sides == (DeflateSide(False, 11), DeflateSide(True, 15))
        both = "permessage-deflate; client_no_context_takeover; server_max_window_bits=9"
        assert agree(both, both).sides == (DeflateSide(True, 15), DeflateSide(False, 9))

    def test_quoted_bits_are_fine(self):
        agreement = agree("permessage-deflate; client_max_window_bits", 'permessage-deflate; client_max_window_bits="10"')
        assert agreement.sides[CLIENT].window_bits == 10
        assert agreement.faults == ()

    def test_unknown_request_leaves_the_response_at_its_word(self):
        agreement = agree(None, "permessage-deflate; client_max_window_bits=10")
        assert agreement.sides[CLIENT] == DeflateSide(False, 10)
        assert (agreement.offer, agreement.faults) == (None, ())

    def test_extension_never_offered_is_not_judged_here(self):
        assert agree("x", "permessage-deflate; client_max_window_bits=10").faults == ()

    def test_first_offer_that_fits_was_accepted(self):
        request = "permessage-deflate; server_max_window_bits=10, x, permessage-deflate; client_max_window_bits"
        request += ", permessage-deflate"
        assert agree(request, "permessage-deflate; server_max_window_bits=10").offer == 0
        assert agree(request, "permessage-deflate; client_max_window_bits=12").offer == 1
        assert agree(request, "permessage-deflate").offer == 1
        assert agree(request, "permessage-deflate").faults == ()

    def test_response_that_fits_no_offer_is_held_against_the_nearest(self):
        request = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"
        request += ", permessage-deflate; server_max_window_bits=9"
        agreement = agree(request, "permessage-deflate")
        assert agreement.offer == 1
        assert rules(agreement) == [("PMD-13", SERVER)]

    def test_client_hint(self):
        agreement = agree("permessage-deflate; client_no_context_takeover", "permessage-deflate")
        assert agreement.client_hint
        assert agreement.sides[CLIENT] == DeflateSide(False, 15)
        assert agreement.faults == ()
        echoed = "permessage-deflate; client_no_context_takeover"
        assert not agree(echoed, echoed).client_hint

    def test_server_may_add_what_was_not_offered(self):
        response = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"
        agreement = agree("permessage-deflate", response)
        assert agreement.sides == (DeflateSide(True, 15), DeflateSide(True, 9))
        assert agreement.faults == ()

    @pytest.mark.parametrize(
        ("request_", "response", "expected"),
        [
            # PMD-10: the accepted offer should have been declined; a clean offer beside it excuses the server.
            ("permessage-deflate; foo", "permessage-deflate", [("PMD-10", SERVER)]),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover",
             "permessage-deflate; server_no_context_takeover", [("PMD-10", SERVER)]),
            ("permessage-deflate; foo, permessage-deflate", "permessage-deflate", []),
            # PMD-12
            ("permessage-deflate", "permessage-deflate; client_max_window_bits=10", [("PMD-12", SERVER)]),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=10", []),
            # PMD-13
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate", [("PMD-13", SERVER)]),
            (
                "permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; server_max_window_bits=9",
                [("PMD-13", SERVER)],
            ),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10", []),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=8", []),
            # PMD-14
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate", [("PMD-14", SERVER)]),
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover", []),
            # PMD-15
            (
                "permessage-deflate; client_max_window_bits=8",
                "permessage-deflate; client_max_window_bits=9",
                [("PMD-15", SERVER)],
            ),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits", [("PMD-15", SERVER)]),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15", []),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10", []),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate", []),
            # PMD-17
            ("permessage-deflate, x-webkit-deflate-frame", "permessage-deflate, x-webkit-deflate-frame", [("PMD-17", SERVER)]),
            ("permessage-deflate, x-foo", "permessage-deflate, x-foo", []),
            # HS-S13: a parameter that no definition knows
            ("permessage-deflate", "permessage-deflate; foo", [("HS-S13", SERVER)]),
        ],
    )
    def test_rules(self, request_, response, expected):
        assert rules(agree(request_, response)) == expected

    @pytest.mark.parametrize("value", ["7", "16", "08", "015", "+9", "1e1", "9.0", "-8", "٩", "", '""', '" 9"', "9" * 5000])
    def test_bits_out_of_range(self, value):
        text = f"permessage-deflate; client_max_window_bits={value}".encode()
        bad = parse_extensions([text])
        assert [(fault.rule, fault.side) for fault in deflate_offer_faults(bad)] == [("PMD-16", CLIENT)]
        agreement = agree_deflate(parse("permessage-deflate; client_max_window_bits"), bad)
        assert rules(agreement) == [("PMD-16", SERVER)]
        assert agreement.client_must_fail == (agreement.faults[0].detail,)
        assert agreement.sides[CLIENT].window_bits == 15

    @pytest.mark.parametrize("bits", range(8, 16))
    def test_bits_in_range(self, bits):
        both = f"permessage-deflate; client_max_window_bits={bits}; server_max_window_bits={bits}"
        agreement = agree(both, both)
        assert agreement.sides == (DeflateSide(False, bits), DeflateSide(False, bits))
        assert agreement.faults == ()

    def test_offered_server_bits_need_a_value(self):
        assert rules(agree("permessage-deflate; server_max_window_bits", "permessage-deflate")) == [
            ("PMD-10", SERVER),
            ("PMD-16", CLIENT),
        ]

    @pytest.mark.parametrize("flag", ["client_no_context_takeover", "server_no_context_takeover"])
    def test_flags_have_no_value(self, flag):
        offered = agree(f"permessage-deflate; {flag}=1", f"permessage-deflate; {flag}")
        assert rules(offered) == [("PMD-10", SERVER), ("PMD-16", CLIENT)]
        assert rules(agree(None, f"permessage-deflate; {flag}=1")) == [("PMD-16", SERVER)]

    def test_declined_offer_still_shows_the_clients_fault(self):
        faults = deflate_offer_faults(parse("permessage-deflate; server_max_window_bits=7, permessage-deflate"))
        assert [(fault.rule, fault.side) for fault in faults] == [("PMD-16", CLIENT)]
        assert deflate_offer_faults(parse("permessage-deflate")) == ()
        assert deflate_offer_faults(None) == ()

    def test_client_must_fail_only_on_what_it_cannot_take(self):
        assert agree("permessage-deflate", "permessage-deflate; foo").client_must_fail
        assert agree("permessage-deflate; server_no_context_takeover", "permessage-deflate").client_must_fail == ()

    def test_limit_the_client_never_allowed_does_not_bind_it(self):
        assert agree("permessage-deflate", "permessage-deflate; client_max_window_bits=9").sides[CLIENT].window_bits == 15

    def test_hostile_heads_give_few_short_faults(self):
        request = parse(",".join(f"permessage-deflate;{'x' * 500}{n}" for n in range(100)))
        response = parse("permessage-deflate" + "".join(f";y{n}" for n in range(1000)))
        agreement = agree_deflate(request, response)
        assert len(agreement.faults) < 64
        assert max(len(fault.detail) for fault in agreement.faults) < 200
