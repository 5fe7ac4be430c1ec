// `jack completion`: for the shell.
#include <memory>
#include <optional>

#include "apps/cli/completion.h"
#include "apps/commands/commands.h"
#include "apps/program.h"
#include "apps/terminal.h"

namespace jack::app {

Command completion_command() {
  const auto shell = std::make_shared<std::string>();
  Command command("completion", "print a script that lets a shell complete jack's command lines");
  command.argument("SHELL", *shell, "bash, zsh or fish")
      .choices({"bash", "zsh", "fish"})
      .example("source <(jack completion bash)", "in ~/.bashrc")
      .example("jack completion zsh > ~/.zfunc/_jack", "where ~/.zfunc is in $fpath")
      .example("jack completion fish > ~/.config/fish/completions/jack.fish", "for fish")
      .status(ExitStatus::done, "printed")
      .run([shell] {
        print(completion_script(*shell, all_commands()).value_or(""));
        return Result<ExitStatus>(ExitStatus::done);
      });
  return command;
}

}  // namespace jack::app
