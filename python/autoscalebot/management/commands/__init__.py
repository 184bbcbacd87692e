"""Django finds `manage.py run_autoscalebot` through this folder."""
