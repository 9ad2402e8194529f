//! Rules of this repository that no lint knows, checked on the source text.
//!
//! Each rule is a function from files to complaints, so that it is tested here with files that
//! break it. A rule that is in the way is changed here, with its reason, and not worked around.

mod layers;
mod rules;
mod source;

use std::path::Path;

use source::Source;

/// Everything that the rules look at, with paths from the root of the repository.
fn repository() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for dir in [
        "src", "tests", "benches", "fuzz", "examples", ".ci", ".github", "docs",
    ] {
        source::collect(root, Path::new(dir), source::Depth::Whole, &mut found);
    }
    source::collect(root, Path::new(""), source::Depth::FilesOnly, &mut found);
    source::mark_tests(&mut found);
    assert!(
        found.iter().any(|file| file.path == "src/lib.rs"),
        "the sources were not found"
    );
    found
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_point_down() {
    assert_none(&layers::upward_imports(&repository()));
}

#[test]
fn the_lower_levels_are_sans_io() {
    assert_none(&layers::impure_levels(&repository()));
}

#[test]
fn sans_io_files_do_no_io() {
    assert_none(&rules::impure_files(&repository()));
}

#[test]
fn files_stay_small() {
    assert_none(&rules::large_files(&repository()));
}

#[test]
fn lines_stay_narrow() {
    assert_none(&rules::wide_lines(&repository()));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(&rules::unfinished(&repository()));
}

#[test]
fn no_path_of_a_developers_machine_is_written_down() {
    assert_none(&rules::machine_paths(&repository()));
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_none(&rules::undocumented_files(&repository()));
}

#[test]
fn a_foreign_crate_has_one_user() {
    assert_none(&rules::second_users(&repository()));
}

#[test]
fn every_file_is_compiled() {
    assert_none(&rules::unreachable_files(&repository()));
}

#[test]
fn documents_name_files_that_exist() {
    assert_none(&rules::lost_paths(&repository()));
}

#[test]
fn the_map_shows_every_module_on_its_level() {
    assert_none(&layers::undocumented_levels(&repository()));
}
