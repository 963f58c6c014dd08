"""The methods by name. Adding one: its file, and a line here."""

from lord.methods.agem import AGEM
from lord.methods.der import DER
from lord.methods.derpp import DERpp
from lord.methods.er import ER
from lord.methods.er_ace import ERACE
from lord.methods.er_las import ERLAS
from lord.methods.er_tricks import ERTricks
from lord.methods.esmer import ESMER
from lord.methods.ewc import EWC
from lord.methods.fdr import FDR
from lord.methods.gdumb import GDumb
from lord.methods.icarl import ICaRL
from lord.methods.lord import LoRD
from lord.methods.lord_plus import LoRDPlus
from lord.methods.lwf import LwF
from lord.methods.mean_er import CLSER, MeanER
from lord.methods.method import Method
from lord.methods.sgd import SGD, Joint
from lord.methods.si import SI
from lord.methods.xder import XDERRPC

ALL: tuple[type[Method], ...] = (
    *(LoRD, LoRDPlus),
    *(DERpp, DER, XDERRPC, FDR),
    *(ER, ERLAS, ERACE, ERTricks, MeanER, CLSER, ESMER, GDumb),
    *(ICaRL, AGEM),
    *(LwF, EWC, SI),
    *(SGD, Joint),
)
METHODS = {method.name: method for method in ALL}
