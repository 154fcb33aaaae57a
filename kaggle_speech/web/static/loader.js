/** In a notebook: an address for each file that the frame carries; then the page begins. */

globalThis.pageFiles = {};
for (const [name, content] of Object.entries(JSON.parse(document.getElementById("files").textContent))) {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const linked = () =>
    new TextDecoder().decode(bytes).replace(/"\.\/([a-z]+\.js)"/g, (_, used) => `"${globalThis.pageFiles[used]}"`);
  const part = name.endsWith(".js") ? linked() : bytes;
  globalThis.pageFiles[name] = URL.createObjectURL(new Blob([part], { type: "text/javascript" }));
}
import(globalThis.pageFiles["app.js"]);
