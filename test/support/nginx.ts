// Debian's nginx in front of a test server, with its default settings, on loopback and without rights.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answers, freePort } from './ports.js'
import { waitFor } from './wait-for.js'

/** Why there is no nginx here, or `undefined` where there is one. */
export function nginxMissing(): string | undefined {
  const { error, status } = spawnSync('nginx', ['-v'])
  return error === undefined && status === 0 ? undefined : 'nginx is not installed'
}

export interface Nginx {
  readonly plain: number
  readonly tls: number
  stop(): void
}

/** @param upstream - as in `proxy_pass http://…`: `127.0.0.1:8080`, or `unix:/path:` */
export async function startNginx(upstream: string): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-nginx-'))
  const [plain, tls] = [await freePort(), await freePort()]
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration(upstream, plain, tls))
  const child = spawn('nginx', ['-p', folder, '-e', 'stderr', '-c', file], { stdio: 'pipe' })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const stop = (): void => end(child, folder)
  try {
    for (const port of [plain, tls]) await waitFor('nginx', () => answers(port))
  } catch (cause) {
    stop()
    throw new Error(`nginx did not start: ${stderr}`, { cause })
  }
  return { plain, tls, stop }
}

/** Whatever is not said here is nginx's default: buffering, and HTTP/1.0 to the upstream. */
function configuration(upstream: string, plain: number, tls: number): string {
  const pem = (name: string): string => fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${plain};
    listen 127.0.0.1:${tls} ssl;
    ssl_certificate ${pem('cert')};
    ssl_certificate_key ${pem('key')};
    location / { proxy_pass http://${upstream}; }
  }
}
`
}

function end(child: ChildProcess, folder: string): void {
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  child.kill('SIGKILL')
}
