// nginx, HAProxy and Caddy in front of a server of ours, as Debian installs them, with nothing set that is not needed to start.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answers, freePort } from './ports.js'
import { waitFor } from './wait-for.js'

export const PROXIES = ['nginx', 'haproxy', 'caddy'] as const
export type ProxyName = (typeof PROXIES)[number]

const VERSION: Record<ProxyName, string[]> = {
  nginx: ['-v'],
  haproxy: ['-v'],
  caddy: ['version'],
}

/** Why a test of these proxies cannot run, or `undefined`. */
export function proxyMissing(names: readonly ProxyName[] = PROXIES): string | undefined {
  const missing = names.filter((name) => spawnSync(name, VERSION[name]).status !== 0)
  return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')} (apt-get)`
}

export interface RunningProxy {
  /** HTTP/1.1 in plain text. */
  readonly plain: number
  /** TLS, with HTTP/2 or HTTP/1.1 as the client likes. */
  readonly tls: number
  readonly child: ChildProcess
  stop(): void
}

const pem = (name: string): string => fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url))

/** @param app - the port of the server behind, on loopback */
export async function startProxy(name: ProxyName, app: number): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), `tcp-sse-${name}-`))
  const [plain, tls] = [await freePort(), await freePort()]
  const file = join(folder, 'configuration')
  const both = join(folder, 'both.pem')
  writeFileSync(both, readFileSync(pem('cert'), 'utf8') + readFileSync(pem('key'), 'utf8'))
  writeFileSync(file, CONFIGURATION[name]({ app, plain, tls, both }))
  // A rig kills its server by SIGKILL, and nothing of ours would run then: the kernel ends the proxy with it (prctl(2)).
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...COMMAND[name](folder, file)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  })
  let stderr = ''
  child.stderr?.on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-2_000)
  })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = (): void => {
    process.off('exit', kill)
    child.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    kill()
  }
  try {
    for (const port of [plain, tls]) await waitFor(name, () => answers(port))
  } catch (cause) {
    stop()
    throw new Error(`${name} did not start: ${stderr}`, { cause })
  }
  return { plain, tls, child, stop }
}

interface Ports {
  app: number
  plain: number
  tls: number
  both: string
}

const COMMAND: Record<ProxyName, (folder: string, file: string) => string[]> = {
  nginx: (folder, file) => ['nginx', '-p', folder, '-e', 'stderr', '-c', file],
  haproxy: (_folder, file) => ['haproxy', '-db', '-f', file],
  caddy: (_folder, file) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
}

const CONFIGURATION: Record<ProxyName, (ports: Ports) => string> = {
  nginx: ({ app, plain, tls }) => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${each};`).join('\n  ')}
  server {
    listen ${plain};
    listen ${tls} ssl http2;
    ssl_certificate ${pem('cert')};
    ssl_certificate_key ${pem('key')};
    location / { proxy_pass http://127.0.0.1:${app}; }
  }
}
`,
  // The timeouts are those of Debian's haproxy.cfg.
  haproxy: ({ app, plain, tls, both }) => `
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
frontend all
  bind :${plain}
  bind :${tls} ssl crt ${both} alpn h2,http/1.1
  default_backend app
backend app
  server app 127.0.0.1:${app}
`,
  caddy: ({ app, plain, tls }) => `
{
  admin off
  auto_https off
  default_sni localhost
  servers {
    protocols h1 h2
  }
}
http://:${plain} {
  reverse_proxy 127.0.0.1:${app}
}
https://:${tls} {
  tls ${pem('cert')} ${pem('key')}
  reverse_proxy 127.0.0.1:${app}
}
`,
}
