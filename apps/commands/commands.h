// The commands of the program. Each is in a file of its own, or with its like.
#pragma once

#include "apps/cli/command.h"

namespace jack::app {

Command serve_command();
Command submit_command();
Command result_command();
Command watch_command();
Command work_command();
Command ls_command();
Command show_command();
Command cancel_command();
Command retry_command();
Command queues_command();
Command pause_command();
Command resume_command();
Command doctor_command();
Command bench_command();
Command import_command();
Command config_command();
Command keys_command();
Command completion_command();

// Those of the earlier program.
Command add_command();
Command list_command();
Command task_status_command();
Command results_command();
Command health_command();

}  // namespace jack::app
