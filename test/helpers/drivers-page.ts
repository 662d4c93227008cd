/** The examples of docs/drivers.md, with the addresses of the lab. */
import { readFileSync } from 'node:fs'
import * as path from 'node:path'

/** The host of all servers, and the source of all connections. */
export const HOST = '127.0.0.1'
export const SOURCE = '127.0.0.7'

const page = readFileSync(path.join(__dirname, '..', '..', 'docs', 'drivers.md'), 'utf8')

/** Returns the code block in a language below a heading. */
export function example(heading: string, language: 'js' | 'json'): string {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [own = ''] = section.split('\n## ')
  const [, text] = new RegExp(`\`\`\`${language}\n(.*?)\`\`\`\n`, 's').exec(own) ?? []
  if (text === undefined)
    throw new Error(`docs/drivers.md has no ${language} block below ${heading}`)
  return text.replace(/\w+\.example\.com/g, HOST).replaceAll('192.0.2.7', SOURCE)
}
