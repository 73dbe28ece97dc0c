// Bodies of page.hpp.
//
// Colours of 2 to 8 bits go from amber over magenta to blue, and away from the background in lightness, so
// that their order can be told without telling hues apart; each keeps a contrast of 3 to the background.
#include "host/cli/report/page.hpp"

namespace afp::cli {

const std::string_view kReportStyle = R"css(
:root{color-scheme:light dark;
--bg:#ffffff;--soft:#f7f8fa;--ink:#15191f;--ink2:#3c4450;--mut:#5a6371;--rule:#d5dae1;--grid:#e9ecf0;
--acc:#1d5fb4;--bar:#7d92ae;--band:#c3cbd6;--c1:#1d5fb4;--c2:#b2520b;--kept:#79828f;
--b2:#cf7a00;--b3:#d4482e;--b4:#b92c93;--b5:#7b46c9;--b6:#173f9e;--b7:#083c4e;--b8:#0a1020;
--h0:#ffffff;--h1:#eff4fb;--h2:#dfe9f6;--h3:#cdddf1;--h4:#b9cfeb;--h5:#a3c0e4;--h6:#8cb0dc;--h7:#74a0d4;--hk:#15191f}
@media screen and (prefers-color-scheme:dark){:root{
--bg:#12151a;--soft:#191d24;--ink:#eceff3;--ink2:#c3cad4;--mut:#98a2b0;--rule:#333a45;--grid:#232932;
--acc:#7fb2f5;--bar:#5c718e;--band:#465061;--c1:#7fb2f5;--c2:#f0a15a;--kept:#8f99a7;
--b2:#b86200;--b3:#dd5640;--b4:#dd62b4;--b5:#b184f0;--b6:#96beff;--b7:#b3e3fb;--b8:#effaff;
--h0:#12151a;--h1:#17202c;--h2:#1b2a3d;--h3:#1f354f;--h4:#234062;--h5:#274c76;--h6:#2b588b;--h7:#2f64a0;--hk:#eceff3}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Inter,Arial,sans-serif;font-variant-numeric:tabular-nums}
main,footer{max-width:1008px;margin:0 auto;padding:0 24px}
header{padding:56px 0 8px}
.over{margin:0;color:var(--mut);font-size:14px}
h1{margin:4px 0 12px;font-size:34px;line-height:1.2;font-weight:650;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{margin:0 0 6px;font-size:21px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
h3{margin:32px 0 4px;font-size:16px;font-weight:650}
p{margin:0 0 12px;max-width:68ch}
section{margin:56px 0 0;padding:0}
.lead{font-size:18px;line-height:1.5;color:var(--ink2)}
.sub,.note,caption,figcaption{color:var(--mut);font-size:13.5px}
.note{margin:10px 0 0}
.flagged{margin:16px 0 0;padding:2px 0 2px 14px;border-left:3px solid var(--c2);color:var(--ink2)}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:0 28px;margin:28px 0 0;padding:0}
.tiles div{border-top:2px solid var(--ink);padding:10px 0 18px}
.tiles dt{color:var(--mut);font-size:13.5px}
.tiles dd{margin:2px 0 0;font-size:27px;line-height:1.2;font-weight:600;letter-spacing:-.015em;white-space:nowrap}
.tiles dd.sub{font-size:13.5px;font-weight:400;letter-spacing:0;line-height:1.4;margin-top:4px;white-space:normal}
.facts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 28px;margin:8px 0 0;font-size:14.5px}
.facts div{display:flex;gap:16px;border-top:1px solid var(--rule);padding:6px 0}
.facts dt{flex:0 0 110px;color:var(--mut)}
.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
figure{margin:20px 0 0}
svg{display:block;width:100%;height:auto}
svg.narrow{display:none}
svg text{font-size:11.5px;fill:var(--ink2)}
svg .tick,svg .title{fill:var(--mut)}
svg .title{font-size:12px}
svg .faint{fill:var(--mut)}
svg .strong{font-size:13px;font-weight:650;fill:var(--ink)}
svg .halo{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}
.plot{fill:none}
.grid{stroke:var(--grid)}
.axis{stroke:var(--mut)}
.front{fill:none;stroke:var(--acc);stroke-width:1.25;stroke-linejoin:round}
.pt{fill:var(--acc)}
.pick{fill:var(--bg);stroke:var(--ink);stroke-width:2.25}
.pickdot{fill:var(--ink)}
.drop,.mean{stroke:var(--mut);stroke-dasharray:2 3}
.bound{stroke:var(--c2);stroke-width:1.5;stroke-dasharray:6 4}
.stem{stroke:var(--rule)}
.band{stroke:var(--band);stroke-width:2.5}
.bar{fill:var(--bar)}
.un{stroke:var(--bg);stroke-width:1}
.dim{opacity:.55}
.b2{fill:var(--b2);background:var(--b2)}.b3{fill:var(--b3);background:var(--b3)}.b4{fill:var(--b4);background:var(--b4)}
.b5{fill:var(--b5);background:var(--b5)}.b6{fill:var(--b6);background:var(--b6)}.b7{fill:var(--b7);background:var(--b7)}
.b8{fill:var(--b8);background:var(--b8)}
.pale{opacity:.65}.paler{opacity:.4}
.kept{fill:var(--bg);stroke:var(--kept);stroke-width:1.25}
.rb{shape-rendering:crispEdges}
.rb.none{fill:var(--grid)}
.exact{fill:var(--ink)}
.code{stroke-width:1.5}
.code.fine{stroke-width:.75}
.code.c1{stroke:var(--c1)}.code.c2{stroke:var(--c2)}
svg .c1{fill:var(--c1)}svg .c2{fill:var(--c2)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 8px;padding:0;list-style:none;font-size:13.5px;color:var(--ink2)}
.sw{display:inline-block;width:10px;height:10px;margin-right:7px;vertical-align:-.5px}
.sw.kept{background:none;border:1.25px solid var(--kept)}
.sw.dot{border-radius:50%}
.sw.ring{border-radius:50%;border:2px solid var(--ink);width:11px;height:11px}
.sw.rule{height:2px;width:18px;background:var(--acc);vertical-align:4px}
.sw.dash{height:0;width:18px;border-top:2px dotted var(--mut);vertical-align:4px}
.sw.c1{background:var(--c1)}.sw.c2{background:var(--c2)}.sw.bars{background:var(--bar)}
code,pre{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{margin:0;padding:12px 14px;background:var(--soft);border:1px solid var(--grid);border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}
.opt-text{display:block;user-select:all;-webkit-user-select:all;color:var(--ink2);white-space:nowrap}
table{border-collapse:collapse;width:100%;margin:14px 0 0;font-size:14px;line-height:1.45}
caption{text-align:left;padding:0 0 6px}
th,td{padding:6px 0 6px 20px;text-align:left;vertical-align:top;border-top:1px solid var(--grid);font-weight:400}
th:first-child,td:first-child{padding-left:0}
thead th{border-top:0;border-bottom:1px solid var(--mut);color:var(--mut);font-size:13px;vertical-align:bottom;white-space:nowrap}
tbody tr:first-child>*{border-top:0}
.n{text-align:right}
td.n{white-space:nowrap}
td code,th code{white-space:nowrap;font-size:12.5px}
th.name{overflow-wrap:anywhere;min-width:11ch}
.answers .sub{display:block}
.answers td .sub{display:inline;margin-left:8px}
.phone{display:none}
thead button{all:unset;cursor:pointer;color:inherit}
thead button:hover,thead button:focus-visible{color:var(--ink);text-decoration:underline}
thead [aria-sort=ascending] button::after{content:" \2191"}
thead [aria-sort=descending] button::after{content:" \2193"}
input[type=search]{font:inherit;font-size:14px;color:inherit;background:var(--bg);border:1px solid var(--rule);border-radius:4px;padding:5px 9px;margin:14px 0 0;width:280px;max-width:100%}
details{margin:16px 0 0}
summary{cursor:pointer;color:var(--acc);font-size:14.5px}
.map{width:auto;table-layout:fixed}
.map td{padding:0;border:0}
.map thead th.n{text-align:center;padding:0 0 6px}
.map tbody th{padding:10px 14px 0 0;border:0;color:var(--mut)}
.cell{display:block;position:relative;margin:1px;padding:8px 4px;min-width:74px;min-height:40px;text-align:center;color:var(--hk);line-height:1.35}
.cell .sub{display:block;font-size:12px;color:var(--hk)}
.h0{background:var(--h0)}.h1{background:var(--h1)}.h2{background:var(--h2)}.h3{background:var(--h3)}.h4{background:var(--h4)}.h5{background:var(--h5)}.h6{background:var(--h6)}.h7{background:var(--h7)}
.cell.best{outline:2.5px solid var(--ink);outline-offset:-1px;z-index:1}
.flag{display:block;font-size:11px;font-weight:650}
footer{margin-top:64px;padding-bottom:64px;color:var(--mut);font-size:13.5px}
footer p{max-width:none;margin:0 0 4px}
footer pre{margin:0 0 16px;color:var(--ink2)}
pre span{display:inline-block;max-width:100%}
.tip{position:fixed;z-index:9;pointer-events:none;max-width:320px;padding:5px 9px;border-radius:4px;background:var(--ink);color:var(--bg);font-size:13px;line-height:1.4;overflow-wrap:anywhere}
.hot{stroke:var(--ink);stroke-width:2}
@media screen and (max-width:699px){
main,footer{padding:0 16px}
header{padding-top:32px}
h1{font-size:27px}
.lead{font-size:16.5px}
section{margin-top:44px}
.tiles{grid-template-columns:repeat(2,1fr);gap:0 20px}
.tiles dd{font-size:23px}
.facts{grid-template-columns:1fr}
svg.wide,.opt{display:none}
svg.narrow{display:block;max-width:520px}
.phone{display:inline}
th,td{padding-left:10px}
table{font-size:13.5px}
thead th{white-space:normal}
td code,th code{font-size:11.5px}
.answers td .sub{display:block;margin:0}
.tensors code{white-space:normal;overflow-wrap:anywhere}
.answers tr{display:grid;grid-template-columns:1fr 1fr;padding:7px 0;border-top:1px solid var(--grid)}
.answers thead tr{border-top:0;border-bottom:1px solid var(--mut);padding:0}
.answers thead th:first-child{display:none}
.answers th,.answers td{padding:2px 0;border:0;text-align:left}
.answers tbody th{grid-column:1/-1}
.answers tbody th .sub{display:inline;margin-left:10px}
.map{width:100%;font-size:11.5px}
.map tbody th{padding:8px 6px 0 0}
.cell{min-width:0;padding:7px 0;font-size:11px}
.cell .sub{font-size:10px}
.flag{font-size:9px}
}
@media print{
body{font-size:11pt}
main,footer{max-width:none;padding:0}
header{padding-top:0}
section{margin-top:28pt}
figure,tr,.tiles,.facts div{break-inside:avoid}
h2,h3,caption{break-after:avoid}
input,.tip{display:none}
svg,.sw,.cell{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
)css";

const std::string_view kReportScript = R"js(
(function () {
  'use strict';
  var each = function (list, what) { Array.prototype.forEach.call(list, what); };

  // Notes at the pointer: the nearest mark of a drawing.
  var tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.appendChild(tip);
  each(document.querySelectorAll('figure svg'), function (svg) {
    var marks = [], hot = null;
    each(svg.querySelectorAll(':scope > * > title'), function (title) {
      marks.push({ element: title.parentNode, note: title.textContent });
      title.remove();
    });
    var leave = function () {
      if (hot) hot.element.classList.remove('hot');
      hot = null;
      tip.hidden = true;
    };
    svg.addEventListener('pointerleave', leave);
    svg.addEventListener('pointermove', function (event) {
      var best = null, least = 24 * 24;
      marks.forEach(function (mark) {
        var box = mark.element.getBoundingClientRect();
        var dx = Math.max(box.left - event.clientX, 0, event.clientX - box.right);
        var dy = Math.max(box.top - event.clientY, 0, event.clientY - box.bottom);
        var far = dx * dx + dy * dy;
        if (least > far) { least = far; best = mark; }
      });
      if (best === null) { leave(); return; }
      if (best !== hot) {
        leave();
        hot = best;
        hot.element.classList.add('hot');
        tip.textContent = best.note;
        tip.hidden = false;
      }
      var width = document.documentElement.clientWidth;
      var left = Math.min(event.clientX + 14, width - tip.offsetWidth - 8);
      tip.style.left = Math.max(left, 8) + 'px';
      tip.style.top = (event.clientY > 80 ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18) + 'px';
    });
  });

  // Headings that sort, and a field that filters by the first column.
  each(document.querySelectorAll('table.sorts'), function (table) {
    var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
    each(table.querySelectorAll('th[data-sort]'), function (heading) {
      var button = document.createElement('button');
      button.type = 'button';
      button.textContent = heading.textContent;
      heading.textContent = '';
      heading.appendChild(button);
      button.addEventListener('click', function () {
        var down = heading.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
        each(table.querySelectorAll('th[aria-sort]'), function (other) { other.removeAttribute('aria-sort'); });
        heading.setAttribute('aria-sort', down === 1 ? 'ascending' : 'descending');
        var key = function (row) {
          var cell = row.cells[heading.cellIndex];
          return cell.hasAttribute('data-v') ? Number(cell.getAttribute('data-v')) : cell.textContent;
        };
        rows.sort(function (a, b) {
          var x = key(a), y = key(b);
          return down * (x > y ? 1 : y > x ? -1 : 0);
        });
        rows.forEach(function (row) { body.appendChild(row); });
      });
    });
    if (12 > rows.length) return;
    var field = document.createElement('input');
    field.type = 'search';
    field.placeholder = 'Filter by name or Encoding';
    field.setAttribute('aria-label', field.placeholder);
    table.parentNode.insertBefore(field, table);
    field.addEventListener('input', function () {
      var wanted = field.value.toLowerCase();
      rows.forEach(function (row) { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
    });
  });
}());
)js";

}  // namespace afp::cli
