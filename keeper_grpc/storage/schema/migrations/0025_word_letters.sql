-- About how many letters a word has that is stored as a hash only: "4-6", "7-9" or "10+". Null: not known.
ALTER TABLE word_accounts ADD COLUMN letters text;
