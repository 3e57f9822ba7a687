// What a browser makes of a file of gzip, by means of its own: the text, or why there is none.
import { readFileSync } from 'node:fs'
import { launch } from './browser.mjs'

const [, , path, browserPath] = process.argv

// Runs in the page.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), character => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  try {
    return { text: await new Response(stream).text() }
  } catch (error) {
    return { error: String(error) }
  }
}

const browser = await launch(browserPath)
try {
  const page = await browser.newPage()
  console.log(JSON.stringify(await page.evaluate(unpack, readFileSync(path).toString('base64'))))
} finally {
  await browser.close()
}
