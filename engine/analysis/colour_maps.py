"""Perceptually uniform colour maps: equal steps of value look like equal steps, in grey print and to colour-blind eyes too.

The tables are those of matplotlib 3.10 (lib/matplotlib/_cm_listed.py), 256 colours each, rounded to 8 bits. Inferno and viridis are
by Nathaniel J. Smith and Stefan van der Walt (viridis with Eric Firing), who gave them to the public domain (CC0 1.0):
https://bids.github.io/colormap.
"""

from base64 import b85decode
from functools import cache
from zlib import decompress

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["COLOUR_MAPS", "colour_map", "coloured"]

# Red, green and blue of each colour, deflated.
_TABLES = {
    "inferno": (
        "c-"
        "jE~1ONO000aR51pxsD0RadC0SW>F3<3fU0|F2P0}=!S6a@qq1_T)g1sezj9SH^>3I`$!2P6y#CJhKF4hbs|2`v!{FcJzf6bm#J3p"
        "W-EIT#E)84Nxf3_%<WLmmu89}Gw#3`!#mOe73XCJa$13sWfzRVxcuEelyM3R^J>Trvt?Gzwof31K)1VmS$8I|*bx31vPBW<UyOLJ"
        "DX^3TQ<NX-"
        "5lcNegO93~NjbYfTMoPYrBQ4s22mZB!3!RS#`f5N=rzZdws;ToP_w5^i4;ZebH{Viay<6>en}Zf6#5X%=p37jA4AZfzKDZy9cJ8E"
        "$eKZgd)MbsKJX9Bp_UZF(JTd>w6l9&LXfY=9qZf*@>!AZvvoYlk6gh$3o=B5I5yX^kUkk0fc3C1{c*Xp<&ql_qDGCuW!@W|}Bvn<"
        "-?SDP*52W1uQyqAOyfEMcWAV5Ti#s4icrE?%oIUac@)t}tA%F<Y@RTC*}*v@=<@G+4JaSGhG-"
        "x;9n3H&neiQ@=S<z&cUEI#9zqPsBV<#yw5PK1|3zOUgh>%Rx!ZLP*X-"
        "N6$n?&_zYkMnuy`L)1t@)k;CvOF!65KG{t@+D<&%P&?gGI^I$^-"
        "%~f>RW{*PHR4w^<5@H0S~2BZFy>t^=Uy)8U@hrkE9zq^>treGW+?1uChch@?rJ3OY$NY(A@FY?@o^vVa~<+@9P@S?^LQEbc^LJ37"
        "xjG=_I?!hfD`wE68D4<_=OMnhYt9O4Ec)-`HTwrjtTmZ2>Ox-"
        "`jiLzmInKm2K$)?`<n*)od^7%2mGN3{G$o{r3(C}4E(4K{HhQ9tP%XK68x|f{IVAOv>5xg8vD2%`???dydnF(Bl^H5`obvs#47s6"
        "E&0bU`N=Z*%Qg7TH~7yw_t8D~(?IssL-yB3_1Q`F+f4M`PxRkY^x;<X<686OUGnB(^5|vq>S^)pZSn1K@$Yr<@p<y{ee(2z^Yw=F"
        "_KNiQj`jJH_WG9i`<nUuo%;Qu{QsoVf;;v"
    ),
    "viridis": (
        "c-jE~1ONO)0aQc+Rz(C?MFm+#2U<o5Tt*6AMhjj?4PZwOVMh>SM-gO46J<ygXGj)kNEc~H7-"
        "~owY)BhzNE~iR9dAe<a7Z9=NFj4bBXme4bx0+4NG5kkD0oOIc}FUGM=W|rEqg~Ud`B;RMlgOxGJZxge?~NbMKys%H-"
        "SYsf<!rkL^^{+JA^|$ghM`sLO+E<K!!p=hCxDyK}3f@MTkH~h(AY&KS+r_Nr^s6i9Sq<Jxz)|PKrEFiabz@J5h@}Qj0oMi#k+{Ia"
        "Q1~R*X1Uj5t}0H(HE0Ta7kcjW%74HC~N1UyU?ijWl76Gh&T1V~sLojxuGAF=mc2XO1ywjxcGCFlvr3YmP5$jxKGEE^dx4Z;mZ+jx"
        "BMHEOCx3a*ix>jw^JID|L=4c8)4{jw*PLDS3`5dX6c3jwpPND1DA6evT)9jwgVQCV`G7f{rGFjwOSRC4`P8g^nbKjwFYUBZ!V8iH"
        ";+RjUtPUB8-h9jg29WjUkVXA&`wBk&Gacj3APXAd`$Al#CyhiyxMYAD4?Cn2R5oiXWPa9-"
        "E3DoQWQti65ScAD@UHpokx#h##ScAEJjKqlO@)h9RYeA*O{Qr-dS@gd?egB&vfYtAZu0f+nqjC#``fu7D}8e=4wlEU|tqvVAVId@"
        "r<oF|~U#wt6(Sc{R6rH@J8>xpz9cc00RuJ-"
        "l>3ymLUkazegwM89xGz;8&wZc4#zOu}qV!)s8)YEs2%RK;jk#%EZ^Wm?E&T*zZy$zov2U}MW)Wy@Y?%v@>BTWrl*Zq8V6&sTHMR&"
        "~%+chOUN(NTQTP=C`-fzwTd)JuldNr}}+i`GVt)<uxlLzCA*mDoU-*gl)tJe}D)pxQa2+Bc=!HmKV)s@yWI+%T}+FS6Y&wcabZ-"  # codespell:ignore
        "YL4?D81h%z~3dp-"
        "y_A~A;{n$%Hbc);T_Q79Ma+&)#4i1;u+fG8QtR;-{TnK<QV1T8Rz5~>g5{j<s0wi9P#BH^yVJ+<{<dyA^Ybe{pTeY=t_D"
    ),
}
COLOUR_MAPS = tuple(_TABLES)


@cache
def colour_map(name: str) -> NDArray[np.uint8]:
    """Return the table of a colour map.

    Parameters
    ----------
    name : str
        ``inferno`` or ``viridis``.

    Returns
    -------
    ndarray, shape (256, 3), uint8
        Red, green and blue, from the lowest value to the highest; not to be written to.

    Raises
    ------
    UsageError
        If there is none of that name.

    Examples
    --------
    >>> colour_map("viridis")[[0, 255]].tolist()
    [[68, 1, 84], [253, 231, 37]]
    """
    if name not in _TABLES:
        raise UsageError(f"{name!r} is no colour map; use {' or '.join(COLOUR_MAPS)}.")
    table = np.frombuffer(decompress(b85decode("".join(_TABLES[name]))), np.uint8)
    return table.reshape(256, 3)


def coloured(values: NDArray[np.floating], name: str = "inferno") -> NDArray[np.uint8]:
    """Return the colours of values from 0 to 1; what is beyond has the first or last colour, what is no number the first.

    Parameters
    ----------
    values : ndarray, shape (...)
        Shares of the range [1].
    name : str
        Of a colour map.

    Returns
    -------
    ndarray, shape (..., 3), uint8
        Red, green and blue.
    """
    levels = np.nan_to_num(np.clip(values, 0, 1)) * 255
    colours: NDArray[np.uint8] = colour_map(name)[np.rint(levels).astype(np.uint8)]
    return colours
