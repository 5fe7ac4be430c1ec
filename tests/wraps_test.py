#!/usr/bin/env python3
"""The wraps in subprojects/ are complete, and meson.build asks for what they provide."""

import configparser
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUBPROJECTS = ROOT / "subprojects"
BUILD_FILES = [ROOT / "meson.build", ROOT / "tests" / "meson.build"]

# These come from the system only: a part of the compiler, security code, and 100 MB of headers.
WITHOUT_WRAP = {"boost", "libsodium", "openssl", "threads"}
# Wraps that provide no dependency of their own: meson.build builds these CMake projects.
CMAKE = {"libzmq"}


def read_wrap(path):
    wrap = configparser.ConfigParser(interpolation=None)
    wrap.optionxform = str  # names of dependencies keep their capitals
    wrap.read(path)
    return wrap


def provided_by(wrap):
    provided = dict(wrap["provide"]) if wrap.has_section("provide") else {}
    names = provided.pop("dependency_names", "")
    return {name.strip() for name in names.split(",") if name.strip()} | set(provided)


class Wraps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.wraps = {path.stem: read_wrap(path) for path in SUBPROJECTS.glob("*.wrap")}
        cls.build = "\n".join(path.read_text() for path in BUILD_FILES)

    def test_there_are_wraps(self):
        self.assertTrue(self.wraps)

    def test_each_names_its_archive_by_address_and_hash(self):
        for name, wrap in self.wraps.items():
            with self.subTest(wrap=name):
                archive = wrap["wrap-file"]
                self.assertRegex(archive["source_url"], r"^https://")
                self.assertRegex(archive["source_filename"], r"\.(zip|tar\.(gz|bz2|xz))$")
                self.assertRegex(archive["source_hash"], r"^[0-9a-f]{64}$")
                self.assertTrue(archive["directory"])

    def test_each_patch_folder_has_a_build_file_and_the_version_of_the_archive(self):
        for name, wrap in self.wraps.items():
            with self.subTest(wrap=name):
                if "patch_directory" not in wrap["wrap-file"]:
                    continue
                folder = wrap["wrap-file"]["patch_directory"]
                build_file = SUBPROJECTS / "packagefiles" / folder / "meson.build"
                self.assertTrue(build_file.is_file(), build_file)
                version = re.search(r"version: '([^']+)'", build_file.read_text())[1]
                # SQLite writes 3.53.4 as 3530400.
                digits = "{}{:0>2}{:0>2}00".format(*version.split("."))
                self.assertTrue({version, digits} & set(wrap["wrap-file"]["directory"].split("-")))

    def test_no_patch_folder_is_left_over(self):
        used = {wrap["wrap-file"].get("patch_directory") for wrap in self.wraps.values()}
        folders = {path.name for path in (SUBPROJECTS / "packagefiles").iterdir()}
        self.assertEqual(folders - used, set())

    def test_what_the_patch_folders_override_is_what_the_wraps_say(self):
        for name, wrap in self.wraps.items():
            with self.subTest(wrap=name):
                if "patch_directory" not in wrap["wrap-file"]:
                    continue
                folder = SUBPROJECTS / "packagefiles" / wrap["wrap-file"]["patch_directory"]
                overrides = re.findall(
                    r"override_dependency\(\s*'([^']+)'", (folder / "meson.build").read_text()
                )
                self.assertEqual(set(overrides), provided_by(wrap))

    def test_what_the_build_asks_for_and_what_the_wraps_provide_agree(self):
        asked = set(re.findall(r"(?<![.\w])dependency\(\s*'([^']+)'", self.build))
        version_2_only = {"catch2"}  # asked for where the system has no `catch2-with-main`
        provided = set().union(*(provided_by(wrap) for wrap in self.wraps.values()))
        self.assertEqual(asked - WITHOUT_WRAP - CMAKE - version_2_only, provided)

    def test_cmake_projects_have_a_wrap_and_are_built(self):
        without = {name for name, wrap in self.wraps.items() if not provided_by(wrap)}
        self.assertEqual(without, CMAKE)
        self.assertEqual(set(re.findall(r"cmake\.subproject\('([^']+)'", self.build)), CMAKE)


if __name__ == "__main__":
    unittest.main()
