// nginx, HAProxy and Caddy with their default settings in front of an application, for HTTP/1 (8000) and, over TLS, HTTP/2 (8443).
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const pem = (name: string): string =>
  fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url))

/** A proxy: its program, and the command that runs it with a configuration in a folder. */
export interface Proxy {
  readonly program: string
  configure(folder: string, upstream: string): readonly string[]
}

function write(folder: string, name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

export const folder = (): string => mkdtempSync(join(tmpdir(), 'tcp-sse-outside-'))

export const PROXIES: Readonly<Record<string, Proxy>> = {
  nginx: {
    program: '/usr/sbin/nginx',
    configure(folder, upstream) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      const file = write(
        folder,
        'nginx.conf',
        `daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 8000;
    listen 8443 ssl http2;
    ssl_certificate ${pem('cert')};
    ssl_certificate_key ${pem('key')};
    # Nothing comes on an idle stream for longer than the default of 60 s.
    proxy_read_timeout 1h;
    location / { proxy_pass http://${upstream}; }
  }
}`,
      )
      return ['/usr/sbin/nginx', '-e', 'stderr', '-c', file]
    },
  },
  haproxy: {
    program: '/usr/sbin/haproxy',
    configure(folder, upstream) {
      const both = write(
        folder,
        'both.pem',
        readFileSync(pem('cert'), 'utf8') + readFileSync(pem('key'), 'utf8'),
      )
      const file = write(
        folder,
        'haproxy.cfg',
        `defaults
  mode http
frontend f
  bind :8000
  bind :8443 ssl crt ${both} alpn h2
  default_backend b
backend b
  server app ${upstream}
`,
      )
      return ['/usr/sbin/haproxy', '-W', '-f', file]
    },
  },
  caddy: {
    program: '/usr/bin/caddy',
    configure(folder, upstream) {
      const file = write(
        folder,
        'Caddyfile',
        `{
  admin off
  auto_https off
}
http://:8000 {
  reverse_proxy ${upstream}
}
https://:8443 {
  tls ${pem('cert')} ${pem('key')}
  reverse_proxy ${upstream}
}
`,
      )
      return [
        '/usr/bin/env',
        `HOME=${folder}`,
        '/usr/bin/caddy',
        'run',
        '--config',
        file,
        '--adapter',
        'caddyfile',
      ]
    },
  },
}
