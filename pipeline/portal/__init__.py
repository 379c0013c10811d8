"""The web application: what a privacy reviewer sees and decides. It reads what is drawn, never a true count."""
