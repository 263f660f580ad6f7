# One image for the web server, the workers and the migration; docker-compose.yml says which command each runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

RUN useradd --create-home --uid 10001 operations \
    && mkdir /data /input \
    && chown operations /data /input

WORKDIR /service
COPY requirements.txt .
RUN pip --disable-pip-version-check --no-input install --no-cache-dir --no-deps --require-hashes --requirement requirements.txt \
    && pip check

COPY wsgi.py worker.py gunicorn.conf.py schema.sql ./
COPY migrations migrations
COPY app app
COPY pausable pausable

USER operations
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/data INPUT_DIR=/input
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM

CMD ["python", "-m", "gunicorn", "app.wsgi:app", "--bind", "0.0.0.0:8000", "--workers", "1", "--threads", "296", "--no-control-socket"]
