"""The command line itself: help, mistakes, colours, completions, configuration."""

import json
import os
import pty
import re
import subprocess
import time

from support import JACK, PATIENCE, JackTest, main

COMMANDS = (
    "serve submit result watch work ls show cancel retry queues pause resume import doctor bench "
    "config keys completion add list task-status results health"
).split()
ID = "0190d4c2-7b1e-7c3a-9f00-1234567890ab"


class Usage(JackTest):
    def test_version_and_help(self):
        self.assertRegex(self.jack("--version"), r"^jack \d+\.\d+\.\d+\n$")
        overview = self.jack("--help")
        for command in COMMANDS:
            self.assertRegex(overview, rf"\n  {command} ")
            text = self.jack(command, "--help")
            self.assertIn(f"usage: jack {command}", text)
            self.assertIn("\nExamples:\n", text)
            self.assertIn("\nExit status:\n", text)
            self.assertLessEqual(max(map(len, text.splitlines())), 100)
            self.assertEqual(self.jack("help", command), text)
            statuses = re.findall(r"(?m)^  (\d+) ", text.partition("\nExit status:\n")[2])
            self.assertEqual(statuses, sorted(statuses, key=int))
        self.assertEqual(self.jack("help"), overview)
        self.assertIn("submit", self.refused("help", "sumbit", status=2))

    def test_a_wrong_command_line_is_2_and_says_what_was_meant(self):
        self.refused(status=2)
        self.assertIn("submit", self.refused("sumbit", status=2))
        self.assertIn("--delay", self.refused("submit", "q", "--dealy", "1s", status=2))
        self.assertIn("QUEUE", self.refused("submit", status=2))
        self.refused("submit", "q", "a", "b", status=2)
        self.refused("submit", "q", "--delay", "soon", status=2)
        self.refused("submit", "q", "--not-before", "tomorrow", status=2)
        self.refused("submit", "q", "--priority", "highest", status=2)
        self.refused("submit", "q", "--attempts", "-1", status=2)
        for arguments in (["submit", "q", "--attempts"], ["work", "q", "--jobs"],
                          ["work", "q", "--max"], ["watch", "--max"], ["ls", "--limit"]):
            complaint = self.refused(*arguments, "0", status=2)
            self.assertIn(f"{arguments[-1]}: must be at least 1", complaint)
        # A file that a flag names and that is not there was 3, as if there were no such task.
        for command, flag in (("config", "--config"), ("serve", "--key-file"),
                              ("serve", "--allowed-keys-file"), ("ls", "--key-file"),
                              ("ls", "--engine-key-file")):
            complaint = self.refused(command, flag, "none", status=2)
            self.assertIn(flag, complaint)
            self.assertIn("'none'", complaint)
        self.refused("submit", "q", "--file", "none", status=2)
        self.refused("submit", "q", "payload", "--file", "none", status=2)
        self.refused("submit", "q", "--engine", "localhost:7000", status=2)
        self.refused("show", "17", status=2)
        self.refused("show", ID, "--json", "--output", status=2)
        self.refused("cancel", status=2)
        self.refused("ls", "--state", "asleep", status=2)
        self.refused("watch", "--after", "yesterday", status=2)
        self.refused("work", "q", status=2)
        self.refused("work", "q", "--", status=2)
        self.refused("serve", "--durability", "most", status=2)
        self.refused("serve", "--set", "durabilty=full", status=2)
        self.refused("bench", "--tasks", "0", status=2)
        self.refused("completion", "tcsh", status=2)

    def test_a_command_that_cannot_be_run_is_2_before_there_is_any_engine(self):
        (self.folder / "text").write_text("no program")
        self.assertIn("nowhere", self.refused("work", "q", "--", "nowhere", status=2))
        self.refused("work", "q", "--", "./text", status=2)
        self.refused("work", "q", "--", ".", status=2)

    def test_without_an_engine_it_is_5_and_says_how_to_start_one(self):
        for command in (["submit", "q", "x"], ["ls"], ["show", ID], ["queues"], ["watch"],
                        ["cancel", ID], ["pause", "q"], ["result", ID]):
            complaint = self.refused(*command, status=5, JACK_CLIENT_PATIENCE="50ms")
            self.assertIn("jack serve", complaint)

    def test_without_an_engine_a_submit_tries_for_five_seconds(self):
        begun = time.monotonic()
        complaint = self.refused("submit", "q", "x", "--id", ID, status=5)
        self.assertGreater(time.monotonic() - begun, 4.5)
        self.assertIn(f"--id {ID}", complaint)

    def test_a_submit_waits_for_an_engine_that_comes(self):
        submit = self.start("submit", "q", "x")
        self.serve()
        self.end(submit)
        self.assertEqual(self.state(submit.output.decode().strip()), "queued")

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            process = self.start("--help", stdout=full)
            self.assertIn("No space left", self.end(process, status=70))
            # It named no reason but "Success".
            self.serve()
            self.submit("q", "x")
            process = self.start("watch", "--after", "0", "--max", "1", stdout=full)
            self.assertIn("No space left", self.end(process, status=70))

    # It ended with 0, and the id was lost.
    def test_a_standard_output_that_is_closed_is_an_error(self):
        self.serve()
        process = self.start("submit", "q", "x", stdout=None, preexec_fn=lambda: os.close(1))
        self.assertIn("cannot write to standard output", self.end(process, status=70))
        process = self.start("submit", "q", "-", stdin=None, preexec_fn=lambda: os.close(0))
        self.assertIn("cannot read standard input", self.end(process, status=2))

    def test_colours_are_for_terminals_that_want_them(self):
        self.serve()
        self.submit("q", "x")
        self.assertNotIn("\x1b", self.jack("ls"))
        self.assertIn("\x1b[", self.on_terminal("ls", TERM="xterm"))
        self.assertNotIn("\x1b", self.on_terminal("ls", TERM="xterm", NO_COLOR="1"))
        self.assertNotIn("\x1b", self.on_terminal("ls", TERM="dumb"))

    def on_terminal(self, *arguments, **variables):
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in self.environment.items() if k != "NO_COLOR"} | variables
        process = self.start(*arguments, stdout=theirs, env=environment)
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 4096):
                text += part
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        self.end(process)
        return text.decode()


class Completion(JackTest):
    def complete(self, *words):
        """What bash would offer for the last word."""
        script = (
            'source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            'compopt() { :; }; _jack; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        ended = subprocess.run(
            ["bash", "-c", script, str(JACK), "jack", *words],
            cwd=self.folder, stdout=subprocess.PIPE, timeout=PATIENCE, check=True,
        )
        return ended.stdout.decode().split()

    def test_bash_completes_commands_options_and_values(self):
        self.assertEqual(self.complete("su"), ["submit"])
        self.assertIn("--priority", self.complete("submit", "q", "--"))
        self.assertEqual(self.complete("submit", "q", "--priority", "u"), ["urgent"])
        self.assertIn("revoke", self.complete("keys", ""))
        (self.folder / "payload.txt").touch()
        self.assertEqual(self.complete("submit", "q", "--file", "pay"), ["payload.txt"])

    def test_the_script_of_each_shell_knows_every_command(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.jack("completion", shell)
            for command in COMMANDS:
                self.assertIn(command, script)

    def test_bash_can_read_its_script(self):
        subprocess.run(
            ["bash", "-n"], input=self.jack("completion", "bash").encode(), check=True,
            timeout=PATIENCE,
        )


class Configuration(JackTest):
    def settings(self, *arguments, **variables):
        return self.json("config", *arguments, **variables)["settings"]

    def test_each_value_says_where_it_comes_from(self):
        self.data_dir.mkdir()
        (self.data_dir / "jack.toml").write_text("[limits]\nretention = '3d'\n")
        (self.folder / "jack.toml").write_text("durability = 'normal'\n")

        settings = self.settings(JACK_LISTEN="ipc:///tmp/a,tcp://127.0.0.1:1")

        self.assertEqual(settings["transport"], {"value": "local", "from": "default"})
        self.assertEqual(settings["data_dir"],
                         {"value": str(self.data_dir), "from": "JACK_DATA_DIR"})
        self.assertEqual(settings["durability"], {"value": "normal", "from": "./jack.toml"})
        self.assertEqual(settings["limits.retention"],
                         {"value": "3d", "from": f"{self.data_dir}/jack.toml"})
        self.assertEqual(settings["listen"], {"value": ["ipc:///tmp/a", "tcp://127.0.0.1:1"],
                                              "from": "JACK_LISTEN"})
        self.assertIn("limits.retention", self.jack("config"))

    def test_the_default_data_directory_is_the_users_state(self):
        del self.environment["JACK_DATA_DIR"]
        self.assertEqual(self.settings(XDG_STATE_HOME="/x")["data_dir"]["value"], "/x/jack")
        self.assertEqual(self.settings(XDG_STATE_HOME="", HOME="/home/ada")["data_dir"]["value"],
                         "/home/ada/.local/state/jack")

    def test_an_unknown_key_is_refused_with_the_nearest_known_one(self):
        (self.folder / "jack.toml").write_text("\ndurabilty = 'full'\n")
        for command in (["config"], ["serve"], ["ls"]):
            complaint = self.refused(*command, status=4)
            self.assertIn("./jack.toml:2:", complaint)
            self.assertIn("did you mean durability?", complaint)

    def test_a_wrong_value_or_variable_is_refused_with_its_place(self):
        self.assertIn("JACK_DURABILITY",
                      self.refused("config", status=4, JACK_DURABILITY="most"))
        (self.folder / "other.toml").write_text("durability = [\n")
        self.assertIn("other.toml:", self.refused("config", "--config", "other.toml", status=4))
        self.refused("config", "--config", "none.toml", status=2)
        # It was ignored, and the default was in force.
        complaint = self.refused("config", status=4, JACK_LIMITS_RETENTON="3d")
        self.assertIn("JACK_LIMITS_RETENTON", complaint)
        self.assertIn("did you mean JACK_LIMITS_RETENTION?", complaint)
        self.jack("config", JACK_DEFAULT_SERVER="an audio server's", JACK_LIMITS_RETENTON="")

    def test_limits_of_the_configuration_hold(self):
        (self.folder / "jack.toml").write_text("[limits]\npayload_bytes_max = 10\n")
        self.serve("--set", "limits.attempts_max=5")
        self.submit("q", "0123456789")
        self.refused("submit", "q", "0123456789a", status=4)
        self.submit("q", "x", "--attempts", "5")
        self.refused("submit", "q", "x", "--attempts", "6", status=4)


if __name__ == "__main__":
    main()
