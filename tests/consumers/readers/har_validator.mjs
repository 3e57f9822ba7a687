// What har-validator finds wrong with a HAR file: an empty list when it is valid by the schema.
import { readFileSync } from 'node:fs'
import validator from 'har-validator'

try {
  await validator.har(JSON.parse(readFileSync(process.argv[2], 'utf8')))
  console.log('[]')
} catch (error) {
  if (!error.errors) throw error
  console.log(JSON.stringify(error.errors.map(({ dataPath, message }) => `${dataPath}: ${message}`)))
}
