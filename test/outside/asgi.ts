// Servers of ASGI applications, as Debian packages them.
import { PORT } from './open.js'

const python = '/usr/bin/python3'
const gunicorn = '/usr/bin/gunicorn'

/** The commands that serve servers/app.py. */
export const ASGI = {
  uvicorn: [
    python,
    '-m',
    'uvicorn',
    '--host',
    '0.0.0.0',
    '--port',
    `${PORT}`,
    '--no-access-log',
    'app:app',
  ],
  gunicorn: [
    gunicorn,
    '-w',
    '1',
    '-k',
    'uvicorn.workers.UvicornWorker',
    '-b',
    `0.0.0.0:${PORT}`,
    'app:app',
  ],
} as const

/** What they need. */
export const ASGI_PROGRAMS = [
  python,
  gunicorn,
  '/usr/lib/python3/dist-packages/uvicorn',
  '/usr/lib/python3/dist-packages/starlette',
] as const
