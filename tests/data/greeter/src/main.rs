//! Prints what it was built with.

use indoc::indoc;

fn main() -> anyhow::Result<()> {
    let text = indoc! {"
        hello
          sealift
    "};
    let at = memchr::memchr(b's', text.as_bytes()).ok_or_else(|| anyhow::anyhow!("no s"))?;
    println!("{text}at {}", itoa::Buffer::new().format(at));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_the_letter() {
        assert_eq!(memchr::memchr(b's', b"has"), Some(2));
    }
}
