"""Settings as autoscalebot 2.1 had them; they run unchanged: autoscalebot --settings=autoscale_settings

The file is read, not run. `autoscalebot import autoscale_settings.py` writes the same as TOML.
"""
import os

HEROKU_APP_NAME = "dancing-forest-1234"
HEROKU_API_KEY = os.environ["HEROKU_API_KEY"]
HEARTBEAT_URL = "https://shop.example/autoscalebot/heartbeat/v1"

TIME_ZONE = "America/Vancouver"
MIN_DYNOS = {
    "0:00": 1,
    "8:00": 3,
    "18:00": 1,
}
MAX_DYNOS = 5

MIN_RESPONSE_TIME_IN_MS = 200
MAX_RESPONSE_TIME_IN_MS = 1000
NUMBER_OF_FAILS_TO_SCALE_UP_AFTER = 3
NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER = 5

NOTIFICATION_BACKENDS = [
    "autoscalebot.backends.notification.ConsoleBackend",
]
NOTIFY_ON_SCALE_FAILS = True
