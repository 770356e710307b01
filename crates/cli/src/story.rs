//! The story of a run, line by line.

/// Lines that say the same again and again (but for their time) are told once, with their number.
pub fn print_story_lines(story: &[String]) {
    let mut rest = story;
    while let Some(line) = rest.first() {
        let same = rest.iter().take_while(|next| without_time(next) == without_time(line)).count();
        say!("  {line}");
        if same > 1 {
            say!("            ... {} times more, the last at {}", same - 1, time(&rest[same - 1]));
        }
        rest = &rest[same..];
    }
}

fn without_time(line: &str) -> &str {
    line.split_once("s  ").map_or(line, |(_, what)| what)
}

fn time(line: &str) -> &str {
    line.split_once("  ").map_or(line, |_| line.trim_start().split(' ').next().unwrap_or(line))
}
