-- Actions and conditions are held to more of the screen: the next start words what is there anew.
UPDATE evidence_settings SET k = NULL;
