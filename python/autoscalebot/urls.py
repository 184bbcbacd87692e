"""The heartbeat's URLs: `path("", include("autoscalebot.urls", namespace="autoscalebot"))`.

The address is `/autoscalebot/heartbeat/`. `/autoscalebot/heartbeat/v1` is 2.1's default, and a heartbeat must not be
redirected, so each spelling that 2.1 answered is here; `reverse("autoscalebot:heartbeat")` gives the first.
"""

from __future__ import annotations

from django.urls import path

from autoscalebot.views import heartbeat

app_name = "autoscalebot"

urlpatterns = [
    path("autoscalebot/heartbeat/", heartbeat, name="heartbeat"),
    path("autoscalebot/heartbeat", heartbeat),
    path("autoscalebot/heartbeat/v1", heartbeat),
    path("heartbeat/", heartbeat),
    path("heartbeat", heartbeat),
]
