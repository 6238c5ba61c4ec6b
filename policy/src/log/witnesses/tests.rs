//! What a witness policy may say, and who is its quorum.

use base64::Engine as _;

use super::*;

/// A key that nobody has the other half of, as a witness's or, by another type, a log's.
fn key(kind: u8, name: &str, seed: u8) -> String {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let encoded = [&[kind], secret.verifying_key().as_bytes().as_slice()].concat();
    let id = signed_note::key_id(name, &encoded);
    format!("{name}+{id:08x}+{}", base64::prelude::BASE64_STANDARD.encode(&encoded))
}

fn witness(seed: u8) -> String {
    key(4, &format!("witness.example/{seed}"), seed)
}

/// A text in which `W1` and so on stand for keys.
fn with_keys(text: &str) -> String {
    (1..=6).fold(text.to_owned(), |text, seed| {
        text.replace(&format!("W{seed}"), &witness(seed))
    })
}

fn parse(text: &str) -> Result<WitnessPolicy, MalformedWitnessPolicy> {
    with_keys(text).parse()
}

fn problem(text: &str) -> Problem {
    parse(text).unwrap_err().problem
}

/// Whether these witnesses are enough.
fn is_met(policy: &WitnessPolicy, seeds: &[u8]) -> bool {
    let cosigned: Vec<String> = seeds.iter().map(|seed| witness(*seed)).collect();
    policy.is_met(|witness| cosigned.contains(&witness.to_string()))
}

// The example of the specification.
const TWO_LEVELS: &str = "\
# two organisations
witness X1 W1
witness X2 W2 https://x2.example/
witness X3 W3
group X-witnesses 2 X1 X2 X3

  witness\tY1  W4
witness Y2 W5
witness Y3 W6
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
";

#[test]
fn groups_count_their_members() {
    let policy = parse(TWO_LEVELS).unwrap();
    assert_eq!(policy.witnesses().len(), 6);
    for enough in [&[1, 2, 4][..], &[2, 3, 6], &[1, 3, 5], &[1, 2, 3, 4, 5, 6]] {
        assert!(is_met(&policy, enough), "{enough:?}");
    }
    for too_few in [&[][..], &[1, 2], &[1, 4], &[4, 5, 6], &[1, 2, 3], &[3, 4, 5, 6]] {
        assert!(!is_met(&policy, too_few), "{too_few:?}");
    }
}

#[test]
fn urls_are_those_of_their_lines() {
    let policy = parse(TWO_LEVELS).unwrap();
    let urls: Vec<_> = policy.addresses().map(|(_, url)| url).collect();
    assert_eq!(urls, [None, Some("https://x2.example/"), None, None, None, None]);
}

#[test]
fn a_quorum_may_be_one_witness_or_nobody() {
    let one = parse("witness a W1\nwitness b W2\nquorum a").unwrap();
    assert!(is_met(&one, &[1]) && !is_met(&one, &[2]));
    let nobody = parse("witness a W1\nquorum none\n").unwrap();
    assert!(is_met(&nobody, &[]));
    assert!(is_met(&WitnessPolicy::default(), &[]));
    assert_eq!(WitnessPolicy::default().to_string().parse(), parse("quorum none\n"));
}

#[test]
fn a_text_is_kept_as_it_was_written() {
    let policy = parse(TWO_LEVELS).unwrap();
    assert_eq!(policy.to_string(), with_keys(TWO_LEVELS));
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<WitnessPolicy>(&json).unwrap(), policy);
}

#[test]
fn whoever_would_count_twice_is_refused() {
    let names = "witness a W1\nwitness b W2\n";
    let key_twice = "witness a W1\nwitness b W1\nquorum a\n";
    assert_eq!(problem(key_twice), Problem::KeyTwice("b".into()));
    let renamed = format!("witness a W1\nwitness b {}\nquorum a\n", key(4, "other", 1));
    assert_eq!(problem(&renamed), Problem::KeyTwice("b".into()));
    for text in [
        "group g all a a\n",
        "group g any a\ngroup h any a b\n",
        "group g any a\ngroup h all g g\n",
    ] {
        assert!(
            matches!(problem(&format!("{names}{text}quorum g\n")), Problem::MemberTwice(_)),
            "{text}"
        );
    }
    for text in [
        "witness a W3\n",
        "group a any b\n",
        "group none any b\n",
        "witness none W3\n",
    ] {
        assert!(
            matches!(problem(&format!("{names}{text}quorum a\n")), Problem::NameTaken(_)),
            "{text}"
        );
    }
}

#[test]
fn what_the_language_does_not_have_is_refused() {
    let names = "witness a W1\nwitness b W2\n";
    for threshold in ["0", "3", "-1", "+1", "01", "1.5", "most", "99999999999999999999999"] {
        let text = format!("{names}group g {threshold} a b\nquorum g\n");
        assert_eq!(problem(&text), Problem::Threshold, "{threshold}");
    }
    for text in [
        "quorum g\ngroup g any a\n",
        "group g any c\nquorum g\n",
        "group g any none\nquorum g\n",
        "quorum A\n",
    ] {
        assert!(
            matches!(problem(&format!("{names}{text}")), Problem::NotDefined(_)),
            "{text}"
        );
    }
    for text in [
        "witness x\n",
        "witness x W3 u v\n",
        "group g any\n",
        "group g\n",
        "quorum\n",
        "quorum a b\n",
    ] {
        assert!(
            matches!(problem(&format!("{names}{text}quorum a\n")), Problem::Parts(_)),
            "{text}"
        );
    }
    assert_eq!(problem(&format!("{names}quorum a\nquorum b\n")), Problem::SecondQuorum);
    for text in ["", names, "# quorum a\n"] {
        assert_eq!(problem(text), Problem::NoQuorum);
    }
    assert!(matches!(problem("witnesses a W1\nquorum a\n"), Problem::Unknown(_)));
    assert_eq!(
        problem(&format!("log {}\nquorum none\n", key(1, "log.example", 1))),
        Problem::Log
    );
    for text in [
        "quorum none\r\n",
        "quorum\u{b}none\n",
        "# \0\nquorum none\n",
        "# \u{7f}\nquorum none\n",
    ] {
        assert_eq!(problem(text), Problem::ControlCharacter, "{text:?}");
    }
    // Other blanks are parts of names.
    assert!(matches!(
        problem("witness a W1\nquorum a\u{a0}\n"),
        Problem::NotDefined(_)
    ));
}

// T18
#[test]
fn t18_the_key_of_a_log_is_no_witness() {
    let text = format!("witness a {}\nquorum a\n", key(1, "log.example", 1));
    assert!(matches!(problem(&text), Problem::Key(_)));
}

#[test]
fn work_is_bounded() {
    let mut text = String::from("witness a W1\n");
    for index in 0..=MAX_DEFINITIONS {
        let before = if index == 0 {
            "a".to_owned()
        } else {
            format!("g{}", index - 1)
        };
        text.push_str(&format!("group g{index} any {before}\n"));
    }
    assert_eq!(problem(&format!("{text}quorum a\n")), Problem::TooMany);
}

#[test]
fn an_error_names_its_line() {
    assert_eq!(
        parse("witness a W1\n\nquorum b\n").unwrap_err().to_string(),
        "line 3 of the witness policy: `b` is not defined before"
    );
}
