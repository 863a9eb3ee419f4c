//! Keywords of Ansible that are not here, and what to do in their place.

/// Keywords of a play that are read.
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

/// Keywords of a task that are read, beside its module.
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

/// Returns what to do in place of a keyword or module that Ansible has and this program has not.
pub(super) fn instead(word: &str) -> Option<&'static str> {
    Some(match word {
        "register" | "until" | "failed_when" | "set_fact" => {
            "what hosts answer never steers a run: the plan is made from the inventory alone; use variables there"
        }
        "notify" | "handlers" | "listen" | "force_handlers" | "meta" => {
            "a service restarts by itself when what it runs with has changed (`apim_service`, `systemd_service`)"
        }
        "roles" | "include_role" | "import_role" => "write the tasks out, or share them with `import_tasks`",
        "include_tasks" | "include" => "write `import_tasks`",
        "include_vars" | "vars_files" | "vars_prompt" => {
            "put them into group_vars/ or host_vars/, or give them with -e @file"
        }
        "block" | "rescue" | "always" => {
            "write the tasks one below the other; `when` and `tags` go to each, or to an `import_tasks`"
        }
        "pre_tasks" | "post_tasks" => "put them into `tasks`, or into a play of their own",
        "with_items" | "with_list" | "with_dict" | "with_fileglob" | "with_together" | "loop_control" => {
            "write `loop:` with a list; the item is called `item`"
        }
        "environment" => "give variables to the command: `command: env NAME=value program`",
        "debug" => "ask the inventory: `apim-deploy inventory INVENTORY --host NAME`",
        "setup" | "gather_facts" => "facts of hosts take no part in a playbook; set values in the inventory",
        "async" | "poll" => "long steps are waited for, with a deadline",
        "apt" | "dnf" | "yum" | "package" | "pip" => {
            "use `command` with the package manager, guarded by `creates`"
        }
        "script" | "raw" => "use `copy` and `command`",
        _ => return None,
    })
}
