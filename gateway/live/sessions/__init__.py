"""Live sessions as gateway.live holds them: opened, fed, followed, and taken up again."""
