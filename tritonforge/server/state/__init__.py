"""What `up` started, in the user's state folder: records that are right after a crash or a reboot."""
