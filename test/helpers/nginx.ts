/** nginx as a reverse proxy in a namespace, with keep-alive connections to its servers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import type { Command } from './command'
import type { Namespace } from './namespace'
import { until } from './until'

export const NGINX_PORT = 8_080
const host = '127.0.0.1'

/** The most idle connections to servers that nginx keeps open. */
const KEPT = 32

export interface Nginx {
  stop: () => Promise<void>
}

/** Starts nginx in front of servers on these ports and waits until it listens. */
export async function startNginx(namespace: Namespace, ports: readonly number[]): Promise<Nginx> {
  const folder = mkdtempSync(path.join(tmpdir(), 'nginx-'))
  writeFileSync(path.join(folder, 'nginx.conf'), configuration(ports))
  const nginx = namespace.spawn('nginx', '-p', folder, '-c', 'nginx.conf', '-e', 'stderr')
  await listens(namespace, nginx)
  return {
    stop: async () => {
      await nginx.stop('SIGTERM')
      rmSync(folder, { recursive: true })
    },
  }
}

async function listens(namespace: Namespace, nginx: Command): Promise<void> {
  await until(
    `nginx listens: ${nginx.output}`,
    () => namespace.run('ss', '-Hltn', `sport = :${String(NGINX_PORT)}`),
    (sockets) => sockets.trim() !== '',
  )
}

/** All files are in one folder. A single process, so that a kill leaves no other process behind. */
function configuration(ports: readonly number[]): string {
  const servers = ports.map((port) => `server ${host}:${String(port)} max_fails=0;`).join(' ')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${kind};`)
    .join(' ')
  return `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary}
  keepalive_requests 1000000;
  upstream group {
    ${servers}
    keepalive ${String(KEPT)};
    keepalive_requests 1000000;
    keepalive_timeout 1h;
  }
  server {
    listen ${host}:${String(NGINX_PORT)};
    location / {
      proxy_pass http://group;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
}
