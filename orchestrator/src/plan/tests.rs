//! Plans from inventories and playbooks.
