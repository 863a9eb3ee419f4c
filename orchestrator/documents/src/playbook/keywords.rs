//! Supported keywords, and hints for keywords of Ansible that are not supported.

/// Supported keywords of a play.
pub(super) const PLAY: [&str; 15] = [
    "name",
    "hosts",
    "become",
    "become_user",
    "become_method",
    "serial",
    "max_fail_percentage",
    "any_errors_fatal",
    "strategy",
    "gather_facts",
    "vars",
    "tags",
    "tasks",
    "import_playbook",
    "no_log",
];

/// Supported keywords of a task, without modules.
pub(super) const TASK: [&str; 19] = [
    "name",
    "when",
    "loop",
    "vars",
    "tags",
    "become",
    "become_user",
    "become_method",
    "no_log",
    "retries",
    "delay",
    "run_once",
    "delegate_to",
    "check_mode",
    "ignore_errors",
    "changed_when",
    "args",
    "import_tasks",
    "connection",
];

/// Returns the alternative to an unsupported keyword or module of Ansible.
pub(super) fn instead(word: &str) -> Option<&'static str> {
    Some(match word {
        "register" | "until" | "failed_when" | "set_fact" => {
            "results of hosts cannot control a run, because the plan depends on the inventory only; use inventory variables"
        }
        "notify" | "handlers" | "listen" | "force_handlers" | "meta" => {
            "`apim_service` and `systemd_service` restart a service when its files have changed"
        }
        "roles" | "include_role" | "import_role" => {
            "write the tasks in the play, or share them with `import_tasks`"
        }
        "include_tasks" | "include" => "write `import_tasks`",
        "include_vars" | "vars_files" | "vars_prompt" => {
            "put the variables into group_vars/ or host_vars/, or pass them with -e @file"
        }
        "block" | "rescue" | "always" => {
            "write a flat list of tasks; set `when` and `tags` on each task, or on an `import_tasks`"
        }
        "pre_tasks" | "post_tasks" => "put them into `tasks`, or into a separate play",
        "with_items" | "with_list" | "with_dict" | "with_fileglob" | "with_together" | "loop_control" => {
            "write `loop:` with a list; the item is called `item`"
        }
        "environment" => "set variables in the command: `command: env NAME=value program`",
        "debug" => "show variables with `apim-deploy inventory INVENTORY --host NAME`",
        "setup" | "gather_facts" => "gathering facts is not supported; set values in the inventory",
        "async" | "poll" => "remove it; apim-deploy waits for long steps, with a deadline",
        "apt" | "dnf" | "yum" | "package" | "pip" => "use `command` with the package manager and `creates`",
        "script" | "raw" => "use `copy` and `command`",
        _ => return None,
    })
}
