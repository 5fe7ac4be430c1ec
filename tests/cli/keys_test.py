"""Keys: who may come in, until when, and what the list says."""

import datetime
import json
import os
import pathlib
import re

from support import JackTest, main

API_KEY = re.compile(r"jack_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}_[A-Za-z0-9]{6}\n")


class KeysTest(JackTest):
    def listed(self):
        return self.json("keys", "ls")["keys"]

    def key(self, name):
        found = [key for key in self.listed() if key["name"] == name]
        self.assertEqual(len(found), 1)
        return found[0]


class CurveKeys(KeysTest):
    def test_a_key_lets_its_owner_in_until_it_is_revoked(self):
        key_file = self.jack("keys", "new", "--curve", "laptop").strip()
        self.assertEqual(os.stat(key_file).st_mode & 0o777, 0o600)
        self.assertEqual([key["name"] for key in self.json("keys", "ls")["keys"]], ["laptop"])
        self.assertIn("laptop", self.jack("keys", "ls"))
        self.refused("keys", "new", "--curve", "laptop", status=4)
        self.refused("keys", "new", "--curve", "engine", status=4)
        self.refused("keys", "new", "--curve", "no name", status=4)
        self.refused("keys", "new", "laptop", status=4)

        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        address = re.search(r"tcp://\S+", engine.ready).group()
        there = ["--engine", address, "--key-file", key_file,
                 "--engine-key-file", str(self.data_dir / "keys/engine.pub")]
        self.jack("submit", "q", "x", *there)
        self.refused("ls", "--engine", address, status=7)

        self.jack("keys", "revoke", "laptop")
        self.jack("keys", "revoke", "laptop")
        self.refused("keys", "revoke", "nobody", status=3)
        self.assertEqual(self.key("laptop")["state"], "revoked")
        self.assertIn("jack keys allow", self.refused("ls", *there, status=7))

        # There was no way back but to make another key.
        self.jack("keys", "allow", "laptop")
        self.jack("ls", *there)
        self.refused("keys", "allow", "laptop", status=4)
        self.refused("keys", "allow", "nobody", status=3)
        self.refused("keys", "allow", "engine", status=4)

    def test_a_key_that_was_made_elsewhere_is_let_in_by_its_public_file(self):
        elsewhere = ["--data-dir", self.folder / "elsewhere"]
        key_file = self.jack("keys", "new", "--curve", "desktop", *elsewhere).strip()
        self.jack("keys", "new", "--curve", "laptop")
        public = pathlib.Path(key_file).with_suffix(".pub")
        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        there = ["--engine", engine.ready.split()[-1], "--key-file", key_file,
                 "--engine-key-file", self.data_dir / "keys/engine.pub"]
        self.refused("ls", *there, status=7)
        self.assertEqual(self.json("keys", "allow", public)["name"], "desktop")
        self.jack("ls", *there)
        self.assertEqual([key["name"] for key in self.json("keys", "ls")["keys"]],
                         ["laptop", "desktop"])

    # It said "may connect now" of an engine that asked nobody for a key.
    def test_the_first_key_is_asked_for_by_engines_that_are_started_later(self):
        said = self.run_jack("keys", "new", "--curve", "laptop").stderr.decode()
        self.assertIn("started from now on", said)
        said = self.run_jack("keys", "new", "--curve", "desktop").stderr.decode()
        self.assertIn("desktop may connect by tcp from now on", said)

    def test_beyond_this_machine_an_engine_needs_keys(self):
        self.refused("serve", "--listen", "tcp://0.0.0.0:0", status=7)

    def test_its_last_use_is_known_once_the_engine_has_ended(self):
        key_file = self.jack("keys", "new", "--curve", "laptop").strip()
        self.jack("keys", "new", "--curve", "desktop")
        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        self.jack("ls", "--engine", engine.ready.split()[-1], "--key-file", key_file,
                  "--engine-key-file", self.data_dir / "keys/engine.pub")
        self.stop(engine)
        self.assertGreater(self.key("laptop")["last_used"], self.key("laptop")["created"])
        self.assertIsNone(self.key("desktop")["last_used"])

    def test_a_name_that_an_api_key_has_leaves_no_files_of_a_key(self):
        self.jack("keys", "new", "ci")
        self.refused("keys", "new", "--curve", "ci", status=4)
        self.assertFalse((self.data_dir / "keys/ci.key").exists())
        self.assertFalse((self.data_dir / "keys/engine.key").exists())

    def test_a_key_that_is_taken_in_gets_the_rights_that_are_named(self):
        elsewhere = ["--data-dir", self.folder / "elsewhere"]
        self.jack("keys", "new", "--curve", "desktop", *elsewhere)
        public = self.folder / "elsewhere/keys/desktop.pub"
        key = self.json("keys", "allow", public, "--scope", "work", "--queue", "mail")
        self.assertEqual((key["scopes"], key["queues"]), (["work"], ["mail"]))
        complaint = self.refused("keys", "allow", public, "--scope", "read", status=2)
        self.assertIn("keeps the rights", complaint)
        self.refused("keys", "allow", public, status=4)
        self.jack("keys", "revoke", "desktop")
        self.jack("keys", "allow", public)
        self.assertEqual(self.key("desktop")["scopes"], ["work"])
        self.refused("keys", "allow", self.folder / "elsewhere/keys/engine.pub", status=4)

    # As the list was before keys had rights.
    def test_a_line_of_a_name_and_a_key_is_a_key_with_all_rights(self):
        self.jack("keys", "new", "--curve", "laptop")
        public = self.key("laptop")["public_key"]
        (self.data_dir / "keys/allowed").write_text(f"laptop {public}\n")
        key = self.key("laptop")
        self.assertEqual(key["scopes"], ["submit", "work", "read", "admin"])
        self.assertEqual(key["queues"], ["*"])
        self.assertIsNone(key["created"])
        self.assertIn("laptop  curve  submit,work,read,admin  *       -", self.jack("keys", "ls"))


class ApiKeys(KeysTest):
    def test_only_the_key_is_printed_and_the_list_does_not_have_it(self):
        ended = self.run_jack("keys", "new", "ci")
        self.assertEqual(ended.returncode, 0)
        printed = ended.stdout.decode()
        self.assertRegex(printed, API_KEY)
        self.assertIn("ci has submit,work,read on all queues", ended.stderr.decode())
        path = self.data_dir / "keys/allowed"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        secret = printed.split("_")[2]
        self.assertNotIn(secret, path.read_text())
        self.assertNotIn(secret, self.jack("keys", "ls", "--json"))
        self.assertNotIn(secret, ended.stderr.decode())

    def test_it_has_the_rights_and_the_end_that_were_asked_for(self):
        self.jack("keys", "new", "ci", "--scope", "read", "--scope", "submit,admin",
                  "--queue", "review-*,mail", "--queue", "news", "--expires", "90d")
        key = self.key("ci")
        self.assertEqual(key["kind"], "api")
        self.assertEqual(key["scopes"], ["submit", "read", "admin"])
        self.assertEqual(key["queues"], ["review-*", "mail", "news"])
        self.assertEqual(key["state"], "active")
        created, expires = (datetime.datetime.fromisoformat(key[name].removesuffix("Z"))
                            for name in ("created", "expires"))
        self.assertEqual(expires - created, datetime.timedelta(days=90))
        self.jack("keys", "new", "cd", "--expires", "2999-01-01T00:00:00Z")
        self.assertEqual(self.key("cd")["expires"], "2999-01-01T00:00:00.000Z")

    def test_without_a_name_it_is_called_by_its_id(self):
        made = self.json("keys", "new")
        self.assertEqual(made["name"], made["key_id"])
        self.assertRegex(made["key"] + "\n", API_KEY)
        self.assertEqual(made["key"].split("_")[1], made["key_id"])
        self.assertEqual(self.listed()[0]["name"], made["name"])

    def test_it_is_revoked_and_allowed_again_by_its_name(self):
        self.jack("keys", "new", "ci", "--scope", "read")
        before = self.key("ci")
        revoked = self.json("keys", "revoke", "ci")
        self.assertEqual(revoked["state"], "revoked")
        self.assertEqual(self.json("keys", "revoke", "ci")["revoked"], revoked["revoked"])
        self.assertIn("revoked", self.jack("keys", "ls"))
        self.json("keys", "allow", "ci")
        self.assertEqual(self.key("ci"), before)

    def test_an_expired_key_shows_as_such_and_allow_does_not_help(self):
        self.jack("keys", "new", "ci")
        path = self.data_dir / "keys/allowed"
        path.write_text(path.read_text().replace(
            " scopes=", " expires=2020-01-01T00:00:00Z revoked=2020-01-01T00:00:00Z scopes="))
        ended = self.run_jack("keys", "allow", "ci")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("has expired all the same", ended.stderr.decode())
        self.assertEqual(self.key("ci")["state"], "expired")

    def test_names_that_are_taken_or_none_are_refused(self):
        self.jack("keys", "new", "ci")
        self.refused("keys", "new", "ci", status=4)
        self.refused("keys", "new", "engine", status=4)
        self.refused("keys", "new", "no name", status=4)
        self.assertEqual(len(self.listed()), 1)

    # Whoever was last won, and the keys of the others were gone.
    def test_keys_that_are_made_at_the_same_time_are_all_there(self):
        makers = [self.start("keys", "new", f"k{number}") for number in range(12)]
        for maker in makers:
            self.end(maker)
        self.assertEqual({key["name"] for key in self.listed()},
                         {f"k{number}" for number in range(12)})

    # Keys for HTTP alone do not make an engine ask for CURVE keys.
    def test_an_engine_with_api_keys_alone_listens_on_loopback_without_curve(self):
        self.jack("keys", "new", "ci")
        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        self.jack("ls", "--engine", engine.ready.split()[-1])


class KeysUsage(KeysTest):
    def test_a_first_start_makes_no_key(self):
        self.serve()
        self.assertEqual(self.listed(), [])
        self.assertFalse((self.data_dir / "keys").exists())

    def test_what_makes_no_sense_is_2(self):
        for arguments in (["revoke"], ["allow"], ["ls", "ci"], ["ls", "--curve", "laptop"],
                          ["ls", "--scope", "read"], ["revoke", "ci", "--queue", "q"],
                          ["revoke", "ci", "--expires", "1d"], ["new", "ci", "--curve", "laptop"],
                          ["new", "--scope", "all"], ["new", "--scope", ""],
                          ["new", "--scope", "read,"], ["new", "--queue", "a/b"],
                          ["new", "--queue", ""], ["new", "--expires", "soon"],
                          ["new", "--expires", "0s"], ["new", "--expires", "2020-01-01T00:00:00Z"]):
            self.refused("keys", *arguments, status=2)
        self.assertFalse((self.data_dir / "keys").exists())

    def test_a_line_that_is_none_is_named_and_nothing_is_changed(self):
        self.jack("keys", "new", "ci")
        path = self.data_dir / "keys/allowed"
        with open(path, "a", encoding="utf-8") as allowed:
            allowed.write("bob tooshort\n")
        before = path.read_text()
        for arguments in (["ls"], ["new"], ["new", "--curve", "laptop"], ["revoke", "ci"],
                          ["allow", "ci"]):
            self.assertIn("allowed:3: ", self.refused("keys", *arguments, status=4))
        self.assertEqual(path.read_text(), before)

    def test_the_list_can_be_elsewhere(self):
        elsewhere = self.folder / "list"
        self.jack("keys", "new", "ci", JACK_KEYS_FILE=str(elsewhere))
        self.assertIn("ci api ", elsewhere.read_text())
        self.assertEqual(self.listed(), [])
        self.assertEqual(json.loads(self.jack("keys", "ls", "--json",
                                              JACK_KEYS_FILE=str(elsewhere)))["keys"][0]["name"],
                         "ci")

    def test_a_folder_that_others_may_enter_is_refused(self):
        (self.data_dir / "keys").mkdir(parents=True, mode=0o755)
        self.refused("keys", "new", "ci", status=7)
        self.refused("keys", "new", "--curve", "laptop", status=7)


if __name__ == "__main__":
    main()
