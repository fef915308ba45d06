"""What to do about each check that did not pass: a sentence, and the command where there is one."""
